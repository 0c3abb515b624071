"""Make the databases that the original's three services left: tables by its own definitions, and rows of every kind."""

# ruff: noqa: S608  # statements of tests, put together from constants of this file

from __future__ import annotations

# knex and Ecto keep books of their own, which ours leave alone.
_KNEX = """
CREATE TABLE knex_migrations (id serial PRIMARY KEY, name varchar(255), batch integer, migration_time timestamptz);
CREATE TABLE knex_migrations_lock (index serial PRIMARY KEY, is_locked integer);
INSERT INTO knex_migrations (name, batch, migration_time) VALUES ('20210105_first.js', 1, '2021-01-05 18:05:00+00');
INSERT INTO knex_migrations_lock (is_locked) VALUES (0);
"""
AUTH = (
    _KNEX
    + """
CREATE TABLE users (id serial PRIMARY KEY, uid varchar(255) NOT NULL, name varchar(255), email varchar(255),
  picture varchar(255));
"""
)
NOTIFICATIONS = (
    _KNEX
    + """
CREATE TABLE tokens (id serial PRIMARY KEY, inserted_at timestamptz DEFAULT now(), identity varchar(255) NOT NULL,
  fcm_token varchar(255) NOT NULL);
"""
)
_TIMES = "inserted_at timestamp(0) without time zone NOT NULL, updated_at timestamp(0) without time zone NOT NULL"
CHAT = f"""
CREATE TABLE schema_migrations (version bigint PRIMARY KEY, inserted_at timestamp(0) without time zone);
INSERT INTO schema_migrations VALUES (20210105180418, '2021-01-05 18:05:00');
CREATE TABLE users (id bigserial PRIMARY KEY, identity varchar(255), friendly_name varchar(255), {_TIMES});
CREATE TABLE channels (id bigserial PRIMARY KEY, topic varchar(255), friendly_name varchar(255), {_TIMES});
CREATE TABLE members (id bigserial PRIMARY KEY, channel_id bigint, user_id bigint,
  is_participant boolean DEFAULT true, {_TIMES});
CREATE TABLE messages (id bigserial PRIMARY KEY, body text, member_id bigint, channel_id bigint,
  type text DEFAULT 'chat', {_TIMES});
CREATE TABLE stamps (id bigserial PRIMARY KEY, word varchar(255) NOT NULL, x_pos double precision NOT NULL,
  y_pos double precision NOT NULL, strength double precision DEFAULT 0.0, member_id bigint NOT NULL,
  channel_id bigint NOT NULL, message_id bigint NOT NULL, {_TIMES});
CREATE TABLE chat_info_messages (id bigserial PRIMARY KEY, body varchar(255) NOT NULL, type varchar(255) NOT NULL,
  {_TIMES});
"""
# Made after the rows, which is quicker and leaves the same.
CHAT_KEYS = """
ALTER TABLE members ADD FOREIGN KEY (channel_id) REFERENCES channels (id),
  ADD FOREIGN KEY (user_id) REFERENCES users (id);
ALTER TABLE messages ADD FOREIGN KEY (member_id) REFERENCES members (id),
  ADD FOREIGN KEY (channel_id) REFERENCES channels (id);
ALTER TABLE stamps ADD FOREIGN KEY (member_id) REFERENCES members (id),
  ADD FOREIGN KEY (channel_id) REFERENCES channels (id), ADD FOREIGN KEY (message_id) REFERENCES messages (id);
"""
USERS, ROOMS, SEATS, MESSAGES, STAMPS = 10_000, 1_000, 20, 1_000_000, 50_000
# Half of all that was said was said here, and a fifth of all people are in it.
BIG_ROOM = 1

# Person n is dev-<n>; every hundredth is there twice, the first three times, and one has no name.
AUTH_ROWS = f"""
INSERT INTO users (uid, name, email) SELECT 'dev-' || n, 'Person ' || n, n || '@example.com'
FROM generate_series(1, {USERS}) AS n;
INSERT INTO users (uid, name, email) SELECT 'dev-' || n, 'Renamed ' || n, NULL
FROM generate_series(100, {USERS}, 100) AS n;
INSERT INTO users (uid, name) VALUES ('dev-1', 'Person 1 again'), ('dev-1', NULL), ('nameless', NULL);
"""
# Two devices a person, some registered twice, one that changed hands, one without its time.
NOTIFICATIONS_ROWS = f"""
INSERT INTO tokens (identity, fcm_token) SELECT 'person' || n || '_dev-' || n, 'device-' || n || '-' || d
FROM generate_series(1, {USERS}) AS n, generate_series(1, 2) AS d;
INSERT INTO tokens (identity, fcm_token) SELECT identity, fcm_token FROM tokens WHERE id % 50 = 0;
INSERT INTO tokens (identity, fcm_token, inserted_at) VALUES ('person2_dev-2', 'device-1-1', NULL);
"""
_T = "'2021-02-01 10:15:00', '2021-02-01 10:15:00'"
CHAT_ROWS = f"""
INSERT INTO users (identity, friendly_name, inserted_at, updated_at)
SELECT 'person' || n || '_dev-' || n, 'Person ' || n, {_T} FROM generate_series(1, {USERS}) AS n;
-- Every hundredth twice, the first three times, and two of nobody.
INSERT INTO users (identity, friendly_name, inserted_at, updated_at)
SELECT 'person' || n || '_dev-' || n, 'Again ' || n, {_T} FROM generate_series(100, {USERS}, 100) AS n;
INSERT INTO users (identity, friendly_name, inserted_at, updated_at) VALUES
  ('person1_dev-1', 'Again 1', {_T}), ('person1_dev-1', NULL, {_T}), (NULL, NULL, {_T}), (NULL, NULL, {_T});

INSERT INTO channels (topic, friendly_name, inserted_at, updated_at)
SELECT 'room_' || n || '_ab12cd34', 'Room ' || n, {_T} FROM generate_series(1, {ROOMS}) AS n;
-- Rooms without members, without a topic, with a topic that another has.
INSERT INTO channels (topic, friendly_name, inserted_at, updated_at)
VALUES ('empty', 'Empty', {_T}), (NULL, NULL, {_T}), ('room_2_ab12cd34', 'Room 2 again', {_T});

INSERT INTO members (channel_id, user_id, inserted_at, updated_at)
SELECT r, 1 + (r * 7 + s * 499) % {USERS}, {_T}
FROM generate_series(1, {ROOMS}) AS r, generate_series(1, {SEATS}) AS s ORDER BY r, s;
INSERT INTO members (channel_id, user_id, inserted_at, updated_at)
SELECT {BIG_ROOM}, u, {_T} FROM generate_series(1, {USERS}, 5) AS u;
-- Seats twice (one of them left), through a repeated person, of nobody, of no room, with no word on taking part.
INSERT INTO members (channel_id, user_id, is_participant, inserted_at, updated_at)
SELECT channel_id, user_id, false, {_T} FROM members WHERE id % 40 = 0;
INSERT INTO members (channel_id, user_id, is_participant, inserted_at, updated_at)
SELECT {BIG_ROOM}, id, true, {_T} FROM users WHERE friendly_name LIKE 'Again %';
INSERT INTO members (channel_id, user_id, is_participant, inserted_at, updated_at)
VALUES (1, NULL, true, {_T}), (1, NULL, true, {_T}), (NULL, 1, true, {_T}),
  (NULL, NULL, NULL, {_T}), (3, 1, NULL, {_T});

INSERT INTO messages (body, member_id, channel_id, type, inserted_at, updated_at)
SELECT 'message ' || n, 1 + ((room - 1) * {SEATS} + n / 7 % {SEATS}), room,
  CASE n % 100 WHEN 0 THEN 'chat_info' ELSE 'chat' END, {_T}
FROM generate_series(1, {MESSAGES}) AS n,
  LATERAL (SELECT CASE WHEN n % 2 = 0 THEN {BIG_ROOM} ELSE 1 + n / 2 % {ROOMS} END AS room) AS at;
INSERT INTO messages (body, member_id, channel_id, type, inserted_at, updated_at) VALUES
  (NULL, NULL, 1, 'chat_info', {_T}), ('lost', NULL, NULL, 'chat', {_T}), ('untyped', 1, 1, NULL, {_T}),
  ('of a seat that is there twice', 40, 2, 'chat', {_T});
INSERT INTO stamps (word, x_pos, y_pos, strength, member_id, channel_id, message_id, inserted_at, updated_at)
SELECT 'message', n, n / 2.0, CASE WHEN n % 3 > 0 THEN 0.5 END, m.member_id, m.channel_id, m.id, {_T}
FROM generate_series(1, {STAMPS}) AS n JOIN messages m ON m.id = n * 7;
INSERT INTO chat_info_messages (body, type, inserted_at, updated_at) VALUES ('Look, ${{name}}', 'join_chat', {_T});
"""

# What must be the same before and after: every column of the original's that ours have no reason to change. Who takes
# part, and which row of a repeated person a seat points at, is what adoption settles.
KEPT = {
    "auth": {
        "users": "id, uid, name, email, picture",
        "knex_migrations": "id, name, batch, migration_time",
        "knex_migrations_lock": "index, is_locked",
    },
    "notifications": {
        "tokens": "id, inserted_at, identity, fcm_token",
        "knex_migrations": "id, name, batch, migration_time",
        "knex_migrations_lock": "index, is_locked",
    },
    "chat": {
        "users": "id, inserted_at, updated_at, identity, friendly_name",
        "channels": "id, inserted_at, updated_at, topic, friendly_name",
        "members": "id, inserted_at, updated_at, channel_id",
        "messages": "id, inserted_at, updated_at, body, member_id, channel_id, type",
        "stamps": "id, inserted_at, updated_at, word, x_pos, y_pos, strength, member_id, channel_id, message_id",
        "chat_info_messages": "id, inserted_at, updated_at, body, type",
        "schema_migrations": "version, inserted_at",
    },
}


def fingerprint(table: str, columns: str) -> str:
    """Return the query for a table's number of rows and a checksum over them."""
    return f"SELECT count(*), sum(hashtextextended(ROW({columns})::text, 0)::numeric) FROM {table}"
