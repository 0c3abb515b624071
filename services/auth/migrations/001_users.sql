-- The original's table, made when absent and adopted with every row when it is there. A uid may repeat in it, so there
-- can be no unique index; the oldest row is the user, and services/auth/store.py guards against new repetitions.
CREATE TABLE IF NOT EXISTS users (
  id serial PRIMARY KEY,
  uid varchar(255) NOT NULL,
  name varchar(255),
  email varchar(255),
  picture varchar(255)
);

-- Finds the oldest row of a uid without a sort.
CREATE INDEX IF NOT EXISTS users_uid_id_index ON users (uid, id);
