-- Accounts that are being deleted. The row is the promise: it is written in the transaction that ends the account for
-- its owner, and goes in the one that removes the last of it, when the other services have forgotten the person.
CREATE TABLE deletions (
  id bigserial PRIMARY KEY,
  uid varchar(255) NOT NULL,
  -- The newest row of users that goes; a later login of the same uid makes a newer one, which is somebody's new account.
  user_id integer NOT NULL,
  -- Every name under which the other services know the person: rows that repeat a uid may have several.
  identities text[] NOT NULL,
  requested_at timestamptz NOT NULL DEFAULT now(),
  attempts integer NOT NULL DEFAULT 0,
  due_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX deletions_uid_index ON deletions (uid);
CREATE INDEX deletions_due_at_index ON deletions (due_at);
