-- Stores a batch of messages, and tells the other replicas of it by the same commit.
--
-- Ids are drawn in the order of the batch, so that a room's ids rise in the order in which it is told. A draft whose
-- sender is no participant gives no row; one whose client id is stored already gives a row with stored = false. What is
-- stored is in the outbox of pushes too.
--
-- Where the database is shared, a room's writers take turns until they commit: so its messages are committed in the
-- order of their ids, and "after" names the one before each. A function, since each of its statements sees what was
-- committed while the one before it waited.
CREATE FUNCTION chat_say(
  member_ids bigint[], bodies text[], client_ids text[], is_shared boolean, notified text, origin text
) RETURNS TABLE (
  ordinal bigint, id bigint, inserted_at timestamp, channel_id bigint, member_id bigint, type text, body text,
  client_id text, stored boolean, after bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  IF is_shared THEN
    -- The lowest first, so that nobody waits for one who waits for them.
    PERFORM chat_hold(r.channel_id)
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
  ), placed AS MATERIALIZED (
    SELECT n.*, CASE WHEN is_shared THEN coalesce(
      lag(n.id) OVER (PARTITION BY n.channel_id ORDER BY n.id), chat_newest(n.channel_id)
    ) ELSE -1 END AS after
    FROM numbered n JOIN added d ON d.id = n.id
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

-- Takes a room's turn, until the transaction ends; the first byte keeps it apart from other advisory locks.
CREATE FUNCTION chat_hold(channel_id bigint) RETURNS void LANGUAGE sql AS $$
  SELECT pg_advisory_xact_lock((83::bigint << 56) | channel_id)
$$;

-- The newest message of a room, 0 for an empty one; by the room's own index, whatever the planner knows of the table.
CREATE FUNCTION chat_newest(room bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT coalesce((
    SELECT g.id FROM messages g
    WHERE (g.channel_id, g.id) <= (room, 9223372036854775807) AND g.channel_id >= room
    ORDER BY g.channel_id DESC, g.id DESC LIMIT 1
  ), 0)
$$;
