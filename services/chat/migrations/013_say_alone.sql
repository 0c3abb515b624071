-- Stores a batch of messages as chat_say does where the database is not shared: nobody takes turns, nobody else is told,
-- and nothing is looked up for them. A plan without those parts is begun and ended in less than half the time.
CREATE FUNCTION chat_say_alone(member_ids bigint[], bodies text[], client_ids text[])
RETURNS TABLE (ordinal bigint, id bigint, inserted_at timestamp, channel_id bigint, stored boolean)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  ids CONSTANT regclass := pg_get_serial_sequence('messages', 'id');
  moment CONSTANT timestamp(0) := date_trunc('second', now() AT TIME ZONE 'utc');
BEGIN
  RETURN QUERY
  WITH asked AS MATERIALIZED (
    SELECT a.ordinal, a.member_id, m.channel_id, a.body, a.client_id
    FROM unnest(member_ids, bodies, client_ids) WITH ORDINALITY AS a (member_id, body, client_id, ordinal)
    JOIN members m ON m.id = a.member_id AND m.is_participant
    ORDER BY a.ordinal
  ), numbered AS MATERIALIZED (
    SELECT nextval(ids) AS id, asked.* FROM asked
  ), added AS (
    INSERT INTO messages (id, channel_id, member_id, type, body, client_id, inserted_at, updated_at)
    SELECT n.id, n.channel_id, n.member_id, 'chat', n.body, n.client_id, moment, moment
    FROM numbered n ORDER BY n.ordinal
    ON CONFLICT (member_id, client_id) WHERE client_id IS NOT NULL DO NOTHING
    RETURNING messages.id
  ), pushed AS (
    INSERT INTO push_outbox (message_ids) SELECT array_agg(d.id ORDER BY d.id) FROM added d HAVING count(*) > 0
  )
  SELECT n.ordinal, n.id, moment::timestamp, n.channel_id, d.id IS NOT NULL
  FROM numbered n LEFT JOIN added d ON d.id = n.id;
END $$;
