-- A client's own id for a message: sent again after a reconnect, it is stored once.
ALTER TABLE messages ADD COLUMN client_id varchar(64);
CREATE UNIQUE INDEX messages_member_id_client_id_key ON messages (member_id, client_id) WHERE client_id IS NOT NULL;
