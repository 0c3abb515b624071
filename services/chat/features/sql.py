"""Hold the statements of the features; each goes through an index."""

# ruff: noqa: S608  # the parts that are put together are constants; values are parameters

from __future__ import annotations

from services.chat.sql import MESSAGE, MUTED, NOW, PERSON, is_heard

# The column last_read_message_id only grows, whichever device comes last.
READ = """
UPDATE members m SET last_read_message_id = $2
WHERE m.id = $1 AND m.is_participant AND m.last_read_message_id < $2
  AND EXISTS (SELECT FROM messages g WHERE g.id = $2 AND g.channel_id = m.channel_id)
RETURNING m.last_read_message_id
"""

READ_STATE = """
SELECT m.last_read_message_id,
  EXISTS (SELECT FROM messages g WHERE g.id = $2 AND g.channel_id = m.channel_id) AS is_known
FROM members m WHERE m.id = $1 AND m.is_participant
"""

MARKERS = """
SELECT m.id AS member_id, m.last_read_message_id AS message_id FROM members m
WHERE m.channel_id = $1 AND m.is_participant AND m.last_read_message_id > 0 AND m.id <> ALL ($2::bigint[])
ORDER BY m.id
"""

# Who takes part in a member's (m) room without a break for longest.
_OWNER = """(
  SELECT e.id FROM members e WHERE e.channel_id = m.channel_id AND e.is_participant
  ORDER BY e.participant_since, e.id LIMIT 1
)"""

# The original could store a membership twice, so an author is known by the person and not by the member.
ABOUT_MESSAGE = f"""
SELECT {MESSAGE}, a.user_id = m.user_id AS is_mine, {_OWNER} = m.id AS is_owner,
  extract(epoch FROM {NOW} - g.inserted_at) AS age
FROM members m
JOIN messages g ON g.channel_id = m.channel_id
LEFT JOIN members a ON a.id = g.member_id
WHERE m.id = $1 AND m.is_participant AND g.id = $2
FOR UPDATE OF g
"""

EDIT = f"""
UPDATE messages g SET body = $2, edited_at = {NOW}, updated_at = {NOW} WHERE g.id = $1 RETURNING {MESSAGE}
"""

DELETE = f"""
UPDATE messages g SET body = '', edited_at = NULL, deleted_at = {NOW}, updated_at = {NOW} WHERE g.id = $1
RETURNING {MESSAGE}
"""

# The words of stamps are words of the message.
DELETE_STAMPS = "DELETE FROM stamps WHERE message_id = $1"

MOMENT = f"SELECT {NOW}"

# A transaction that began before the moment may have been committed after it: no statement lasts longer than this.
CHANGES = f"""
SELECT {MESSAGE} FROM messages g
WHERE g.channel_id = $1 AND (g.edited_at IS NOT NULL OR g.deleted_at IS NOT NULL)
  AND g.updated_at >= $2::timestamp - interval '30 seconds' AND {is_heard("$4::bigint[]")}
ORDER BY g.updated_at DESC, g.id DESC LIMIT $3
"""

# Ids of people can be guessed, so they name only those whom one has met.
FIND_MET = """
SELECT u.id, u.inserted_at, u.friendly_name, u.identity
FROM users u
WHERE (u.id = $2 OR u.identity = $3) AND u.duplicate_of IS NULL AND u.deleted_at IS NULL
  AND EXISTS (
    SELECT FROM members mine JOIN members theirs ON theirs.channel_id = mine.channel_id
    WHERE mine.user_id = $1 AND theirs.user_id = u.id
  )
"""

COUNT_BLOCKS = "SELECT count(*) FROM blocks WHERE blocker_id = $1"

ADD_BLOCK = f"""
INSERT INTO blocks (blocker_id, blocked_id, inserted_at) VALUES ($1, $2, {NOW}) ON CONFLICT DO NOTHING
"""

LIST_BLOCKS = """
SELECT b.inserted_at AS blocked_at, u.id, u.inserted_at, u.friendly_name, u.identity
FROM blocks b JOIN users u ON u.id = b.blocked_id
WHERE b.blocker_id = $1 ORDER BY b.inserted_at DESC, u.id DESC
"""

DELETE_BLOCK = "DELETE FROM blocks WHERE blocker_id = $1 AND blocked_id = $2"

# Whom a person does not hear, in each of the rooms that they share with one whom they hear no more, or again.
MUTED_WITH = f"""
SELECT c.topic, {MUTED} AS muted
FROM users u
JOIN members m ON m.user_id = u.id AND m.is_participant
JOIN channels c ON c.id = m.channel_id
WHERE {PERSON} AND EXISTS (SELECT FROM members o WHERE o.channel_id = m.channel_id AND o.user_id = $2)
"""

REPORT_OF_MESSAGE = f"""
SELECT m.user_id AS reporter_id, a.user_id AS reported_id, g.channel_id, g.body, g.type
FROM users u
JOIN members m ON m.user_id = u.id AND m.is_participant
JOIN messages g ON g.channel_id = m.channel_id
LEFT JOIN members a ON a.id = g.member_id
WHERE {PERSON} AND g.id = $2
"""

REPORT_OF_PERSON = f"""
SELECT m.user_id AS reporter_id, a.user_id AS reported_id, m.channel_id
FROM users u
JOIN members m ON m.user_id = u.id AND m.is_participant
JOIN members a ON a.channel_id = m.channel_id
WHERE {PERSON} AND m.channel_id = $2 AND a.user_id = $3
LIMIT 1
"""

FIND_REPORT = """
SELECT id FROM reports
WHERE reporter_id = $1 AND reported_id = $2 AND channel_id = $3 AND message_id IS NOT DISTINCT FROM $4::bigint
  AND handled_at IS NULL
LIMIT 1
"""

ADD_REPORT = f"""
INSERT INTO reports (reporter_id, reported_id, channel_id, message_id, quoted, reason, inserted_at)
VALUES ($1, $2, $3, $4, $5, $6, {NOW}) RETURNING id
"""

_REPORT = """r.id, r.inserted_at, r.channel_id, r.message_id, r.quoted, r.reason, r.handled_at,
  p.id AS reporter_id, p.inserted_at AS reporter_inserted_at, p.friendly_name AS reporter_friendly_name,
  p.identity AS reporter_identity,
  q.id AS reported_id, q.inserted_at AS reported_inserted_at, q.friendly_name AS reported_friendly_name,
  q.identity AS reported_identity"""
_REPORTS = "reports r JOIN users p ON p.id = r.reporter_id JOIN users q ON q.id = r.reported_id"

LIST_REPORTS = f"SELECT {_REPORT} FROM {_REPORTS} WHERE r.id > $1 ORDER BY r.id LIMIT $2"

LIST_OPEN_REPORTS = f"""
SELECT {_REPORT} FROM {_REPORTS} WHERE r.id > $1 AND r.handled_at IS NULL ORDER BY r.id LIMIT $2
"""

# Handled a second time it keeps its first moment.
HANDLE_REPORT = f"UPDATE reports SET handled_at = coalesce(handled_at, {NOW}) WHERE id = $1 RETURNING id"

COUNT_OPEN_REPORTS = "SELECT count(*) FROM reports WHERE handled_at IS NULL"

# The lock makes owners' acts in one room take turns, and lets messages in meanwhile.
AUTHORITY = f"""
SELECT m.id AS member_id, m.channel_id, coalesce(c.topic, '') AS topic, c.friendly_name, {_OWNER} = m.id AS is_owner
FROM users u
JOIN members m ON m.user_id = u.id AND m.is_participant
JOIN channels c ON c.id = m.channel_id
WHERE {PERSON} AND m.channel_id = $2
FOR NO KEY UPDATE OF c
"""

REMOVE_MEMBER = f"""
UPDATE members m SET is_participant = false, removed_at = {NOW}, updated_at = {NOW}
FROM users p
WHERE m.id = $1 AND m.channel_id = $2 AND m.is_participant AND p.id = m.user_id
RETURNING m.id, p.identity, p.friendly_name
"""

RENAME = f"""
UPDATE channels SET friendly_name = $2, updated_at = {NOW} WHERE id = $1
RETURNING id, inserted_at, friendly_name, topic
"""

RENEW = f"""
UPDATE channels SET topic = $2, updated_at = {NOW} WHERE id = $1
RETURNING id, inserted_at, friendly_name, topic
"""

# What they may not come back with is the old invitation.
FORGIVE = "UPDATE members SET removed_at = NULL WHERE channel_id = $1 AND removed_at IS NOT NULL"
