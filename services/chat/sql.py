"""Hold the statements of the store; every one that a message waits for goes through an index."""

# ruff: noqa: S608  # the parts that are put together are constants of this file; values are parameters

from __future__ import annotations

from services.chat.unread import UNREAD

MAX_BIGINT = (1 << 63) - 1
# The columns hold whole seconds, and Postgres would round up into the future.
NOW = "date_trunc('second', now() AT TIME ZONE 'utc')"

_USER = """u.id AS user_id, u.inserted_at AS user_inserted_at, u.friendly_name AS user_friendly_name,
  u.identity AS user_identity"""
MESSAGE = """g.id, g.inserted_at, g.channel_id, g.member_id, g.type, g.body, g.client_id, g.edited_at,
  g.deleted_at"""
# The one row that counts of an identity which the original may have stored twice.
PERSON = "u.identity = $1 AND u.duplicate_of IS NULL AND u.deleted_at IS NULL"
# The places in a room (m) of those whom a person (u) has blocked; for nearly everybody one look into an index.
MUTED = """ARRAY(
  SELECT o.id FROM blocks b JOIN members o ON o.user_id = b.blocked_id AND o.channel_id = m.channel_id
  WHERE b.blocker_id = u.id
)"""


def newest_of(room: str) -> str:
    """Return the id of a room's newest message, 0 for an empty one; by the room's own index: see PAGE.

    Written out, since Postgres plans a function's statement anew for nearly every call.
    """
    return f"""coalesce((
    SELECT g.id FROM messages g
    WHERE (g.channel_id, g.id) <= ({room}, {MAX_BIGINT}) AND g.channel_id >= {room}
    ORDER BY g.channel_id DESC, g.id DESC LIMIT 1
  ), 0)"""


def is_heard(muted: str) -> str:
    """Return the condition that a message (g) is none of a muted member; what happened in the room always is heard."""
    # Not "IS NOT TRUE", of which the planner believes that hardly any row passes: it would sort a whole room for one.
    return f"NOT coalesce(g.member_id = ANY({muted}) AND g.type IS DISTINCT FROM 'chat_info', false)"


FIND_USER = f"SELECT u.id, u.inserted_at, u.friendly_name, u.identity FROM users u WHERE {PERSON}"

ADD_USER = f"""
INSERT INTO users (identity, friendly_name, inserted_at, updated_at) VALUES ($1, $2, {NOW}, {NOW})
ON CONFLICT (identity) WHERE duplicate_of IS NULL DO NOTHING
"""

# The last message by the room's own index: see PAGE.
LIST_ROOMS = f"""
SELECT c.id AS room_id, c.inserted_at AS room_inserted_at, c.friendly_name, c.topic,
  m.last_read_message_id, {UNREAD} AS unread, muted.ids AS muted, last.*
FROM users u
JOIN members m ON m.user_id = u.id AND m.is_participant
JOIN channels c ON c.id = m.channel_id
-- OFFSET keeps the planner from asking again for every message.
CROSS JOIN LATERAL (SELECT {MUTED} AS ids OFFSET 0) AS muted
LEFT JOIN LATERAL (
  SELECT {MESSAGE} FROM messages g
  WHERE (g.channel_id, g.id) <= (c.id, {MAX_BIGINT}) AND g.channel_id >= c.id AND {is_heard("muted.ids")}
  ORDER BY g.channel_id DESC, g.id DESC LIMIT 1
) AS last ON true
WHERE {PERSON}
ORDER BY coalesce(last.id, 0) DESC, c.id DESC
"""

MEMBERS = f"""
SELECT m.id, m.inserted_at, m.channel_id, m.is_participant, m.participant_since, {_USER}
FROM members m
-- LIMIT keeps the planner from reading all users for the members of a few rooms.
CROSS JOIN LATERAL (
  SELECT u.id, u.inserted_at, u.friendly_name, u.identity FROM users u WHERE u.id = m.user_id LIMIT 1
) AS u
WHERE m.channel_id = ANY($1::bigint[]) ORDER BY m.id
"""

STAMP = """s.id, s.inserted_at, s.member_id, s.message_id, s.word, s.x_pos, s.y_pos,
coalesce(s.strength, 0.0) AS strength, s.client_id"""
STAMPS = f"""
SELECT {STAMP}
FROM stamps s WHERE s.message_id = ANY($1::bigint[]) ORDER BY s.id
"""

ADD_ROOM = f"""
INSERT INTO channels (friendly_name, topic, inserted_at, updated_at) VALUES ($1, $2, {NOW}, {NOW})
RETURNING id, inserted_at, friendly_name, topic
"""

FIND_ROOM = "SELECT id FROM channels WHERE topic = $1 ORDER BY id LIMIT 1"

# No row comes back when the person is a participant already, joined a moment ago on another connection, or was removed.
ADD_PARTICIPANT = f"""
INSERT INTO members (channel_id, user_id, is_participant, inserted_at, updated_at) VALUES ($1, $2, true, {NOW}, {NOW})
ON CONFLICT (channel_id, user_id) WHERE duplicate_of IS NULL
DO UPDATE SET is_participant = true, updated_at = excluded.updated_at, participant_since = now()
WHERE members.is_participant IS NOT TRUE AND members.removed_at IS NULL
RETURNING id
"""

IS_REMOVED = "SELECT EXISTS (SELECT FROM members WHERE channel_id = $1 AND user_id = $2 AND removed_at IS NOT NULL)"

FIND_MEMBER = f"""
SELECT m.id, c.topic, u.friendly_name, m.is_participant IS TRUE AS is_participant
FROM users u
JOIN members m ON m.user_id = u.id AND m.duplicate_of IS NULL
JOIN channels c ON c.id = m.channel_id
WHERE {PERSON} AND m.channel_id = $2
FOR UPDATE OF m
"""

FIND_TOPIC = f"""
SELECT c.topic
FROM users u
JOIN members m ON m.user_id = u.id AND m.duplicate_of IS NULL
JOIN channels c ON c.id = m.channel_id
WHERE {PERSON} AND m.channel_id = $2
"""

REMOVE_PARTICIPANT = f"UPDATE members SET is_participant = false, updated_at = {NOW} WHERE id = $1"

INFO_TEXT = "SELECT body FROM chat_info_messages WHERE type = $1 ORDER BY random() LIMIT 1"

ADD_INFO = f"""
INSERT INTO messages AS g (channel_id, member_id, type, body, inserted_at, updated_at)
VALUES ($1, $2, 'chat_info', $3, {NOW}, {NOW})
RETURNING {MESSAGE}, {newest_of("$1")} AS after
"""

PLACE = f"""
SELECT m.id AS member_id, m.channel_id, coalesce(c.topic, '') AS topic, {MUTED} AS muted
FROM users u
JOIN members m ON m.user_id = u.id AND m.is_participant
JOIN channels c ON c.id = m.channel_id
WHERE {PERSON} AND m.channel_id = $2
"""

# By the room's own index, whatever the planner knows: it has the order that is asked for, and the primary key has not.
# Of a room that holds much of the table, or beside one that does, all messages would else be read by their ids.
PAGE = f"""
SELECT {MESSAGE} FROM messages g
WHERE (g.channel_id, g.id) < ($1::bigint, $2::bigint) AND g.channel_id >= $1 AND {is_heard("$4::bigint[]")}
ORDER BY g.channel_id DESC, g.id DESC LIMIT $3
"""

AFTER = f"""
SELECT {MESSAGE} FROM messages g
WHERE (g.channel_id, g.id) > ($1::bigint, $2::bigint) AND g.channel_id <= $1 AND {is_heard("$4::bigint[]")}
ORDER BY g.channel_id, g.id LIMIT $3
"""

# Functions of the migrations: what a batch does, and why it is one. What the caller knows does not come back.
ADD_MESSAGES = """
SELECT ordinal, id, inserted_at, channel_id, stored, after FROM chat_say($1, $2, $3, $4, $5, $6)
"""
ADD_MESSAGES_ALONE = """
SELECT ordinal, id, inserted_at, channel_id, stored, -1 AS after FROM chat_say_alone($1, $2, $3)
"""
ADD_MESSAGE_ALONE = """
SELECT 1 AS ordinal, id, inserted_at, channel_id, id IS NOT NULL AS stored, -1 AS after FROM chat_say_one($1, $2, $3)
"""

# The first byte keeps a room's turn apart from other advisory locks; chat_say in the migrations takes the same ones.
TURN = "((83::bigint << 56) | {room})"

# Whoever holds a room and is not heard of any more must not hold it for good.
HOLD = f"""
SELECT set_config('idle_in_transaction_session_timeout', '10s', true),
  pg_advisory_xact_lock({TURN.format(room="$1::bigint")})
"""

NEWEST_OF_ROOM = f"SELECT {newest_of('$1::bigint')}"

# What came after a message of each of several rooms.
AFTER_EACH = f"""
SELECT {MESSAGE}
FROM unnest($1::bigint[], $2::bigint[]) AS asked (channel_id, message_id)
CROSS JOIN LATERAL (
  SELECT * FROM messages m
  WHERE (m.channel_id, m.id) > (asked.channel_id, asked.message_id) AND m.channel_id <= asked.channel_id
  ORDER BY m.channel_id, m.id LIMIT $3
) AS g
ORDER BY g.channel_id, g.id
"""

# The places of many, each in a room that is named by its topic; without a member's id where they take no part.
SEATS = f"""
SELECT asked.identity, asked.topic, seat.member_id, seat.channel_id, seat.muted, seat.newest
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (identity, topic, ordinal)
LEFT JOIN LATERAL (
  SELECT m.id AS member_id, m.channel_id, {MUTED} AS muted, {newest_of("c.id")} AS newest
  FROM channels c
  JOIN members m ON m.channel_id = c.id AND m.is_participant
  JOIN users u ON u.id = m.user_id
  WHERE c.topic = asked.topic AND {PERSON.replace("$1", "asked.identity")}
  ORDER BY c.id LIMIT 1
) AS seat ON true
ORDER BY asked.ordinal
"""

NEWEST = "SELECT max(id) FROM messages"

SAID_SINCE = f"""
SELECT c.topic, {MESSAGE}
FROM unnest($1::bigint[]) AS asked (member_id)
JOIN members m ON m.id = asked.member_id
JOIN channels c ON c.id = m.channel_id
JOIN LATERAL (
  SELECT * FROM messages WHERE channel_id = m.channel_id AND id > $2 AND member_id = m.id AND type = 'chat'
) AS g ON true
ORDER BY g.id
"""

# The lock makes a stamp and the deletion of its message take turns.
ADD_STAMP = f"""
INSERT INTO stamps AS s
  (member_id, channel_id, message_id, word, x_pos, y_pos, strength, client_id, inserted_at, updated_at)
SELECT m.id, m.channel_id, g.id, $3, $4, $5, $6, $7, {NOW}, {NOW}
FROM members m JOIN messages g ON g.channel_id = m.channel_id
WHERE m.id = $1 AND m.is_participant AND g.id = $2 AND g.deleted_at IS NULL
FOR SHARE OF g
ON CONFLICT (member_id, client_id) WHERE client_id IS NOT NULL DO NOTHING
RETURNING {STAMP}
"""

KNOWN_STAMP = f"SELECT {STAMP} FROM stamps s WHERE s.member_id = $1 AND s.client_id = $2"

STILL_PARTICIPANT = "SELECT EXISTS (SELECT FROM members WHERE id = $1 AND is_participant)"
