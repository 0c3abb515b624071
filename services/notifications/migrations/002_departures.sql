-- Who was deleted a moment ago: until the last of their tokens ends, none of them registers a device.
CREATE TABLE departures (
  identity text PRIMARY KEY,
  minted_before timestamptz NOT NULL,
  forget_at timestamptz NOT NULL
);
CREATE INDEX departures_forget_at_index ON departures (forget_at);
