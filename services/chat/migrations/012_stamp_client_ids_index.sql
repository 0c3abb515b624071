-- no transaction
DROP INDEX CONCURRENTLY IF EXISTS stamps_member_id_client_id_key;
CREATE UNIQUE INDEX CONCURRENTLY stamps_member_id_client_id_key ON stamps (member_id, client_id) WHERE client_id IS NOT NULL;
