// Watch a room with phoenix.js's own Presence, and print what it made of what it was told as one JSON object.
import { createRequire } from "node:module";
import { WebSocket } from "ws";

const { Presence, Socket } = createRequire(import.meta.url)("phoenix");
const { BASE, ADA, BOB, TOPIC } = process.env;
const LIMIT = 60_000;

const open = (token) => {
  const socket = new Socket(BASE, { transport: WebSocket, timeout: LIMIT, params: { token } });
  return new Promise((resolve) => (socket.onOpen(() => resolve(socket)), socket.connect()));
};
const join = (channel) =>
  new Promise((resolve, reject) => channel.join().receive("ok", () => resolve(channel)).receive("error", reject));

const hers = (await open(ADA)).channel(TOPIC, { presence: true });
const presence = new Presence(hers);
const said = { events: [], counts: [] };
presence.onJoin((key, current, added) => said.events.push(["join", key, !current, added.metas.length]));
presence.onLeave((key, current, gone) => said.events.push(["leave", key, current.metas.length, gone.metas.length]));
const counts = () => Object.fromEntries(presence.list((key, { metas }) => [key, metas.length]));
// Waits until the list has so many people and so many sockets.
const until = (people, sockets) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not ${people}, ${sockets}: ${JSON.stringify(counts())}`)), LIMIT);
    const look = () => {
      const seen = Object.values(counts());
      if (seen.length === people && seen.reduce((sum, count) => sum + count, 0) === sockets) {
        clearTimeout(timer);
        // Seen once: the news of her own coming may follow the state that has her already.
        presence.onSync(() => {});
        said.counts.push(counts());
        resolve();
      }
    };
    presence.onSync(look);
    look();
  });

await join(hers);
await until(1, 1);
const sockets = [await open(BOB), await open(BOB)];
const first = await join(sockets[0].channel(TOPIC));
await until(2, 2);
await join(sockets[1].channel(TOPIC));
await until(2, 3);
first.leave();
await until(2, 2);
sockets[1].disconnect();
await until(1, 1);
process.stdout.write(JSON.stringify(said), () => process.exit(0));
