-- The tables as the original's migrations leave them: a database of the original is adopted as it is, an empty one gets
-- the same. Its own bookkeeping table (schema_migrations) is left alone.
CREATE TABLE IF NOT EXISTS users (
  id bigserial PRIMARY KEY,
  inserted_at timestamp(0) without time zone NOT NULL,
  updated_at timestamp(0) without time zone NOT NULL,
  identity varchar(255),
  friendly_name varchar(255)
);
CREATE TABLE IF NOT EXISTS channels (
  id bigserial PRIMARY KEY,
  inserted_at timestamp(0) without time zone NOT NULL,
  updated_at timestamp(0) without time zone NOT NULL,
  topic varchar(255),
  friendly_name varchar(255)
);
CREATE TABLE IF NOT EXISTS members (
  id bigserial PRIMARY KEY,
  inserted_at timestamp(0) without time zone NOT NULL,
  updated_at timestamp(0) without time zone NOT NULL,
  channel_id bigint REFERENCES channels (id),
  user_id bigint REFERENCES users (id),
  is_participant boolean DEFAULT true
);
CREATE TABLE IF NOT EXISTS messages (
  id bigserial PRIMARY KEY,
  inserted_at timestamp(0) without time zone NOT NULL,
  updated_at timestamp(0) without time zone NOT NULL,
  body text,
  member_id bigint REFERENCES members (id),
  channel_id bigint REFERENCES channels (id),
  type text DEFAULT 'chat'
);
CREATE TABLE IF NOT EXISTS stamps (
  id bigserial PRIMARY KEY,
  inserted_at timestamp(0) without time zone NOT NULL,
  updated_at timestamp(0) without time zone NOT NULL,
  word varchar(255) NOT NULL,
  x_pos double precision NOT NULL,
  y_pos double precision NOT NULL,
  strength double precision DEFAULT 0.0,
  member_id bigint NOT NULL REFERENCES members (id),
  channel_id bigint NOT NULL REFERENCES channels (id),
  message_id bigint NOT NULL REFERENCES messages (id)
);
CREATE TABLE IF NOT EXISTS chat_info_messages (
  id bigserial PRIMARY KEY,
  inserted_at timestamp(0) without time zone NOT NULL,
  updated_at timestamp(0) without time zone NOT NULL,
  body varchar(255) NOT NULL,
  type varchar(255) NOT NULL
);
