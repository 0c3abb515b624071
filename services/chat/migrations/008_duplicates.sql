-- no transaction
-- Finds the other rows of a person whom the original stored more than once; few are.
DROP INDEX CONCURRENTLY IF EXISTS users_duplicate_of_idx;
CREATE INDEX CONCURRENTLY users_duplicate_of_idx ON users (duplicate_of) WHERE duplicate_of IS NOT NULL;
