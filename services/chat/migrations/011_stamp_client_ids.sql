-- A client's own id for a stamp, as messages have one: thrown again after a reconnect, it is stored once.
ALTER TABLE stamps ADD COLUMN client_id varchar(64);
