// Play a conversation with phoenix.js and print what came of it as one JSON object.
import { createRequire } from "node:module";
import { WebSocket } from "ws";

const { Socket } = createRequire(import.meta.url)("phoenix");
const { BASE, ADA, BOB, TOPIC } = process.env;
const LIMIT = 10_000;

// One event, or a rejection that names it.
const within = (name, start) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${name} did not come`)), LIMIT);
    start((value) => (clearTimeout(timer), resolve(value)));
  });
const open = (options) => {
  const socket = new Socket(BASE, { transport: WebSocket, timeout: LIMIT, ...options });
  return within("open", (done) => (socket.onOpen(() => done(socket)), socket.connect()));
};
const answer = (name, push) =>
  within(name, (done) => push.receive("ok", (ok) => done({ ok })).receive("error", (error) => done({ error })));
const next = (channel, event) =>
  within(event, (done) => {
    const ref = channel.on(event, (payload) => (channel.off(event, ref), done(payload)));
  });

const said = {};
// A query parameter and the newer authToken: both carriers of a token.
const ada = await open({ params: { token: ADA } });
const bob = await open({ authToken: BOB });
const [hers, his] = [ada.channel(TOPIC), bob.channel(TOPIC)];
said.joined = [await answer("join", hers.join()), await answer("join", his.join())];
said.refused = await answer("join", bob.channel("room:none_12345678").join());
said.unmatched = await answer("join", bob.channel("lobby").join());

let both = [next(hers, "shout"), next(his, "shout")];
hers.push("shout", { message: "from phoenix.js" });
said.shouts = await Promise.all(both);

both = [next(hers, "shout"), next(his, "shout")];
const messageId = said.shouts[0].data.id;
his.push("stamp", { word: "from", xPos: 1, yPos: 2.5, strength: 0.5, messageId });
said.stamps = await Promise.all(both);

said.ping = await answer("ping", hers.push("ping", { a: 1 }));
said.bad = await answer("shout", hers.push("shout", { message: "" }));
const echoed = await answer("binary ping", hers.push("ping", new Uint8Array([0, 255]).buffer));
said.binary = [...new Uint8Array(echoed.ok)];
said.beat = await within("heartbeat", (done) => ada.ping((milliseconds) => done(milliseconds >= 0)));

said.left = await answer("leave", his.leave());
said.closed = his.state;
const again = bob.channel(TOPIC, { last_message_id: messageId - 1 });
said.again = await answer("join", again.join());
// A shout has no reply, and phoenix.js would wait its time-out for one.
process.stdout.write(JSON.stringify(said), () => process.exit(0));
