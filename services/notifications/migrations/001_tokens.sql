-- The original's table, made when absent and adopted with every row when it is there. A token may repeat in it, so
-- there is no unique index; services/notifications/store.py guards against new repetitions.
CREATE TABLE IF NOT EXISTS tokens (
  id serial PRIMARY KEY,
  inserted_at timestamptz DEFAULT now(),
  identity varchar(255) NOT NULL,
  fcm_token varchar(255) NOT NULL
);

-- Finds a person's devices.
CREATE INDEX IF NOT EXISTS tokens_identity_fcm_token_index ON tokens (identity, fcm_token);

-- Finds a device's people.
CREATE INDEX IF NOT EXISTS tokens_fcm_token_index ON tokens (fcm_token);
