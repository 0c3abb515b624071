-- Rows that repeat a uid: set when what points at this one, in the other services, has followed the oldest.
ALTER TABLE users ADD COLUMN merged_at timestamptz;
