-- What goes beyond the original: how far somebody has read, edits and tombstones, blocks, reports, removals, and the
-- outbox of pushes. Every column has a default, so the version before this one runs on beside it.
ALTER TABLE members ADD COLUMN last_read_message_id bigint NOT NULL DEFAULT 0;
-- Set when the owner removed the member: the invitation of that day no longer lets them in.
ALTER TABLE members ADD COLUMN removed_at timestamp(0) without time zone;

ALTER TABLE messages ADD COLUMN edited_at timestamp(0) without time zone;
-- A tombstone keeps its row, its place and its author; body is then empty.
ALTER TABLE messages ADD COLUMN deleted_at timestamp(0) without time zone;

-- Set when the account was deleted: the row keeps old messages in their place and says nothing of the person.
ALTER TABLE users ADD COLUMN deleted_at timestamp(0) without time zone;

CREATE TABLE blocks (
  blocker_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  blocked_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  inserted_at timestamp(0) without time zone NOT NULL,
  PRIMARY KEY (blocker_id, blocked_id)
);
CREATE INDEX blocks_blocked_id_idx ON blocks (blocked_id);

CREATE TABLE reports (
  id bigserial PRIMARY KEY,
  inserted_at timestamp(0) without time zone NOT NULL,
  reporter_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  reported_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  channel_id bigint NOT NULL REFERENCES channels (id),
  message_id bigint REFERENCES messages (id),
  -- What was said when it was reported, since it may be edited or deleted afterwards.
  quoted text,
  reason text NOT NULL,
  handled_at timestamp(0) without time zone
);
CREATE INDEX reports_open_idx ON reports (id) WHERE handled_at IS NULL;
CREATE INDEX reports_reporter_id_idx ON reports (reporter_id);
CREATE INDEX reports_reported_id_idx ON reports (reported_id);
CREATE INDEX reports_message_id_idx ON reports (message_id);

-- One row for each commit of messages, written in that very commit; it goes when the notifications service has taken
-- over. Whoever hands rows on locks them, skipping what another replica holds.
CREATE TABLE push_outbox (
  id bigserial PRIMARY KEY,
  message_ids bigint[] NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  due_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX push_outbox_due_at_idx ON push_outbox (due_at);
CREATE INDEX stamps_member_id_idx ON stamps (member_id);
