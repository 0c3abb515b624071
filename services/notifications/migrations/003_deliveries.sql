-- One row for each message and device: stored before the hand-over is answered, claimed by a worker, and kept for a
-- while after it was sent, without its text, so that a repeated hand-over pushes nothing twice.
CREATE TABLE deliveries (
  id bigserial PRIMARY KEY,
  -- What is told; the same thing handed over twice has the same key.
  key varchar(128) NOT NULL,
  identity varchar(255) NOT NULL,
  fcm_token varchar(255) NOT NULL,
  -- Of those that wait for one device, only the one of the highest rank is worth sending; none when empty.
  collapse_key varchar(64) NOT NULL DEFAULT '',
  rank bigint NOT NULL DEFAULT 0,
  badge integer,
  -- Title, text and data as JSON; empty once it is of no more use.
  payload text NOT NULL,
  -- waiting, sent, collapsed (a newer one goes instead), gone (the device is), dead (given up)
  state varchar(16) NOT NULL DEFAULT 'waiting',
  attempts integer NOT NULL DEFAULT 0,
  -- When it may be tried next; a worker that has claimed it puts this past the time that it may take.
  due_at timestamptz NOT NULL DEFAULT now(),
  inserted_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  done_at timestamptz,
  -- Why it was last put off, or given up.
  reason text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX deliveries_fcm_token_key_key ON deliveries (fcm_token, key);
CREATE INDEX deliveries_due_at_idx ON deliveries (due_at) WHERE state = 'waiting';
CREATE INDEX deliveries_waiting_idx ON deliveries (fcm_token, collapse_key) WHERE state = 'waiting';
CREATE INDEX deliveries_collapse_idx ON deliveries (fcm_token, collapse_key, rank) WHERE state IN ('waiting', 'sent');
CREATE INDEX deliveries_dead_idx ON deliveries (id) WHERE state = 'dead';
CREATE INDEX deliveries_done_at_idx ON deliveries (state, done_at) WHERE done_at IS NOT NULL;
CREATE INDEX deliveries_identity_idx ON deliveries (identity);
