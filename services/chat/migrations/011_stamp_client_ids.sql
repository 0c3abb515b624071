-- no transaction
-- A client's own id for a stamp, as messages have one: thrown again after a reconnect, it is stored once.
ALTER TABLE stamps ADD COLUMN IF NOT EXISTS client_id varchar(64);
DROP INDEX CONCURRENTLY IF EXISTS stamps_member_id_client_id_key;
CREATE UNIQUE INDEX CONCURRENTLY stamps_member_id_client_id_key ON stamps (member_id, client_id) WHERE client_id IS NOT NULL;
