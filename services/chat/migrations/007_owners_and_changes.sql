-- Who has taken part without a break for longest owns the room; whoever comes back stands last again. Members of today
-- get one and the same moment, and their ids decide. The version before this one leaves the moment as it is.
ALTER TABLE members ADD COLUMN participant_since timestamptz NOT NULL DEFAULT now();

-- What was edited or deleted since a client was last here; few messages ever are.
CREATE INDEX messages_changed_idx ON messages (channel_id, updated_at, id)
  WHERE edited_at IS NOT NULL OR deleted_at IS NOT NULL;
