-- One for every query on the path of a message, a join or a page.
CREATE INDEX channels_topic_idx ON channels (topic);
CREATE INDEX members_channel_id_idx ON members (channel_id);
CREATE INDEX members_user_id_idx ON members (user_id);
CREATE INDEX messages_channel_id_id_idx ON messages (channel_id, id);
CREATE INDEX stamps_message_id_idx ON stamps (message_id);
