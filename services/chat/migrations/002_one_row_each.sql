-- The original could store a person, or a membership, twice. Every row is kept; the oldest counts, the others say of
-- which row they are a duplicate, and what pointed at them follows. From here on a second one cannot be made.
ALTER TABLE users ADD COLUMN duplicate_of bigint REFERENCES users (id);
UPDATE users SET duplicate_of = oldest.id
FROM (
  SELECT identity, min(id) AS id FROM users WHERE identity IS NOT NULL GROUP BY identity HAVING count(*) > 1
) AS oldest
WHERE users.identity = oldest.identity AND users.id <> oldest.id;
CREATE UNIQUE INDEX users_identity_key ON users (identity) WHERE duplicate_of IS NULL;

UPDATE members SET user_id = users.duplicate_of
FROM users
WHERE members.user_id = users.id AND users.duplicate_of IS NOT NULL;

ALTER TABLE members ADD COLUMN duplicate_of bigint REFERENCES members (id);
UPDATE members SET
  duplicate_of = CASE WHEN members.id = oldest.id THEN NULL ELSE oldest.id END,
  is_participant = members.id = oldest.id AND oldest.is_participant
FROM (
  SELECT channel_id, user_id, min(id) AS id, bool_or(is_participant IS TRUE) AS is_participant
  FROM members
  GROUP BY channel_id, user_id
  HAVING count(*) > 1
) AS oldest
WHERE members.channel_id = oldest.channel_id AND members.user_id = oldest.user_id;
CREATE UNIQUE INDEX members_channel_id_user_id_key ON members (channel_id, user_id) WHERE duplicate_of IS NULL;
