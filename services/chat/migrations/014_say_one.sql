-- Stores one message as chat_say_alone stores a batch. Nothing has to be put in an order and found again, so three small
-- statements do what one large one did, and for half of the work: a message that comes alone has little else to wait for.
-- No row comes back of who takes no part; the id is null of what is stored already.
CREATE FUNCTION chat_say_one(member bigint, said text, client text)
RETURNS TABLE (id bigint, inserted_at timestamp, channel_id bigint)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  moment CONSTANT timestamp(0) := date_trunc('second', now() AT TIME ZONE 'utc');
  room bigint;
  made bigint;
BEGIN
  SELECT m.channel_id INTO room FROM members m WHERE m.id = member AND m.is_participant;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  INSERT INTO messages (channel_id, member_id, type, body, client_id, inserted_at, updated_at)
  VALUES (room, member, 'chat', said, client, moment, moment)
  ON CONFLICT (member_id, client_id) WHERE client_id IS NOT NULL DO NOTHING
  RETURNING messages.id INTO made;
  IF made IS NOT NULL THEN
    INSERT INTO push_outbox (message_ids) VALUES (ARRAY[made]);
  END IF;
  RETURN QUERY SELECT made, moment::timestamp, room;
END $$;
