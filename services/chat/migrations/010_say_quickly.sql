-- As before, but what it asked another function for is written out: Postgres plans the statement of such a function anew
-- for nearly every call. And no table is read as a whole: a plan that was made while a table was empty is kept until
-- the table is analysed, and until then each message would read all that were said since.
CREATE OR REPLACE FUNCTION chat_say(
  member_ids bigint[], bodies text[], client_ids text[], is_shared boolean, notified text, origin text
) RETURNS TABLE (
  ordinal bigint, id bigint, inserted_at timestamp, channel_id bigint, member_id bigint, type text, body text,
  client_id text, stored boolean, after bigint
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  IF is_shared THEN
    -- The lowest first, so that nobody waits for one who waits for them.
    PERFORM pg_advisory_xact_lock((83::bigint << 56) | r.channel_id)
    FROM (SELECT DISTINCT m.channel_id FROM members m WHERE m.id = ANY(member_ids) ORDER BY 1) AS r;
  END IF;
  RETURN QUERY
  WITH asked AS MATERIALIZED (
    SELECT a.ordinal, a.member_id, m.channel_id, a.body, a.client_id
    FROM unnest(member_ids, bodies, client_ids) WITH ORDINALITY AS a (member_id, body, client_id, ordinal)
    JOIN members m ON m.id = a.member_id AND m.is_participant
    ORDER BY a.ordinal
  ), numbered AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('messages', 'id')) AS id, asked.*,
      date_trunc('second', now() AT TIME ZONE 'utc')::timestamp(0) AS inserted_at
    FROM asked
  ), added AS (
    INSERT INTO messages (id, channel_id, member_id, type, body, client_id, inserted_at, updated_at)
    SELECT n.id, n.channel_id, n.member_id, 'chat', n.body, n.client_id, n.inserted_at, n.inserted_at
    FROM numbered n ORDER BY n.ordinal
    ON CONFLICT (member_id, client_id) WHERE client_id IS NOT NULL DO NOTHING
    RETURNING messages.id
  ), pushed AS (
    INSERT INTO push_outbox (message_ids) SELECT array_agg(d.id ORDER BY d.id) FROM added d HAVING count(*) > 0
  ), before AS MATERIALIZED (
    -- By the room's own index, whatever the planner knows of the table.
    SELECT r.channel_id, coalesce((
      SELECT g.id FROM messages g
      WHERE (g.channel_id, g.id) <= (r.channel_id, 9223372036854775807) AND g.channel_id >= r.channel_id
      ORDER BY g.channel_id DESC, g.id DESC LIMIT 1
    ), 0) AS id
    FROM (SELECT DISTINCT n.channel_id FROM numbered n WHERE is_shared) AS r
  ), placed AS MATERIALIZED (
    SELECT n.*, CASE WHEN is_shared THEN coalesce(
      lag(n.id) OVER (PARTITION BY n.channel_id ORDER BY n.id), b.id
    ) ELSE -1 END AS after
    FROM numbered n JOIN added d ON d.id = n.id LEFT JOIN before b ON b.channel_id = n.channel_id
  ), told AS MATERIALIZED (
    -- A notification has less than 8000 bytes: of what is longer, how far each room has come.
    SELECT pg_notify(notified, CASE WHEN octet_length(f.whole) < 8000 THEN f.whole ELSE (
      SELECT json_build_object('o', origin, 'r', json_agg(json_build_array(p.channel_id, p.id)))::text
      FROM (SELECT q.channel_id, max(q.id) AS id FROM placed q GROUP BY q.channel_id) AS p
    ) END)
    FROM (
      SELECT json_build_object('o', origin, 's', json_agg(json_build_array(
        p.channel_id, p.id, p.after, p.member_id, p.body, p.client_id, p.inserted_at
      ) ORDER BY p.id))::text AS whole
      FROM placed p
      HAVING count(*) > 0
    ) AS f
    WHERE notified IS NOT NULL
  )
  SELECT n.ordinal, n.id, n.inserted_at::timestamp, n.channel_id, n.member_id, 'chat', n.body, n.client_id,
    p.id IS NOT NULL, coalesce(p.after, -1)
  FROM numbered n LEFT JOIN placed p ON p.id = n.id
  -- Nothing else would have it told.
  WHERE (SELECT count(*) FROM told) >= 0;
END $$;
