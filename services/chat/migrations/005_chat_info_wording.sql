-- Wording of our own, unless the table has some already.
INSERT INTO chat_info_messages (type, body, inserted_at, updated_at)
SELECT type, body, date_trunc('second', now() AT TIME ZONE 'utc'), date_trunc('second', now() AT TIME ZONE 'utc')
FROM (VALUES
  ('create_chat', '${name} opened this chat'),
  ('create_chat', '${name} lit the first candle'),
  ('create_chat', 'The floor is open, says ${name}'),
  ('join_chat', '${name} came in'),
  ('join_chat', '${name} pulled up a chair'),
  ('join_chat', 'Good to see you, ${name}'),
  ('join_chat', 'The door opens, and there is ${name}'),
  ('leave_chat', '${name} went home'),
  ('leave_chat', '${name} closed the door softly'),
  ('leave_chat', 'Until next time, ${name}'),
  ('leave_chat', 'One chair is empty: ${name} left')
) AS wording (type, body)
WHERE NOT EXISTS (SELECT FROM chat_info_messages);
