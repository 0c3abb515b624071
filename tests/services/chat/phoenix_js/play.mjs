// Play a conversation with phoenix.js and print what came of it as one JSON object.
import { createRequire } from "node:module";
import { WebSocket } from "ws";

const { Socket } = createRequire(import.meta.url)("phoenix");
const { BASE, ADA, BOB, TOPIC } = process.env;
const LIMIT = 60_000;

// One event, or a rejection that names it.
const within = (name, start) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${name} did not come`)), LIMIT);
    start((value) => (clearTimeout(timer), resolve(value)));
  });
const open = (options) => {
  const socket = new Socket(BASE, { transport: WebSocket, timeout: LIMIT, reconnectAfterMs: () => 50, ...options });
  return within("open", (done) => (socket.onOpen(() => done(socket)), socket.connect()));
};
const answer = (name, push) =>
  within(name, (done) =>
    push
      .receive("ok", (ok) => done({ ok }))
      .receive("error", (error) => done({ error }))
      .receive("timeout", () => done("timeout")),
  );
const next = (channel, event, fits = () => true) =>
  within(event, (done) => {
    const ref = channel.on(event, (payload) => fits(payload) && (channel.off(event, ref), done(payload)));
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
// What goes well has no reply, and phoenix.js tells its caller so after the time that it was given.
said.unanswered = await answer("whisper", hers.push("whisper", { late: true }, 200));
const echoed = await answer("binary ping", hers.push("ping", new Uint8Array([0, 255]).buffer));
said.binary = [...new Uint8Array(echoed.ok)];
both = [next(hers, "shout"), next(his, "shout")];
hers.push("shout", new TextEncoder().encode('{"message":"in binary"}').buffer);
said.inBinary = (await Promise.all(both)).map((payload) => payload.data.body);
said.beat = await within("heartbeat", (done) => ada.ping((milliseconds) => done(milliseconds >= 0)));

// A whisper comes back to nobody but the others; her shout behind it proves that hers did not.
const whispers = [];
hers.on("whisper", (payload) => whispers.push(payload.data));
his.on("whisper", (payload) => whispers.push(payload.data));
hers.push("whisper", { typing: true });
his.push("whisper", { typing: false });
both = [next(hers, "shout"), next(his, "shout")];
hers.push("shout", { message: "typed" });
await Promise.all(both);
said.whispers = whispers.map((data) => data.typing).sort();

// A second join of the topic: phoenix.js leaves the first, and the server closes it.
const second = ada.channel(TOPIC);
said.again = await answer("second join", second.join());
said.first = hers.state;
// Both wait for it: phoenix.js has left a channel before the server answers, and would give it to the next one.
both = [next(second, "shout"), next(his, "shout")];
second.push("shout", { message: "from the second", id: "c1" });
second.push("shout", { message: "sent once more", id: "c1" });
said.second = (await Promise.all(both))[0].data.body;

// A connection that breaks: rejoined by itself, told what it missed, and what was pushed meanwhile is sent then.
let last = said.shouts[0].data.id;
const seen = [];
const see = (message) => (seen.push(message.body), (last = message.id));
said.left = await answer("leave", his.leave());
said.closed = his.state;
const back = bob.channel(TOPIC, () => ({ last_message_id: last }));
const joins = [];
back.on("shout", ({ type, data }) => type === "message" && see(data));
const rejoined = () => within("rejoin", (done) => (back.again = done));
back.join().receive("ok", (ok) => (joins.push(ok.recovered), ok.messages.forEach(see), back.again?.(ok)));
await within("join", (done) => back.joinPush.receive("ok", done));
const again = rejoined();
bob.conn.terminate();
await within("drop", (done) => bob.onClose(() => done()));
back.push("shout", { message: "buffered", id: "b1" });
for (const number of [1, 2, 3]) {
  both = next(second, "shout", ({ data }) => data.body === `missed ${number}`);
  second.push("shout", { message: `missed ${number}` });
  await both;
}
await again;
while (!seen.includes("buffered")) await within("buffered", (done) => back.on("shout", done));
both = next(back, "shout", ({ data }) => data.body === "the end");
second.push("shout", { message: "the end" });
await both;
said.joins = joins;
said.seen = seen;
said.last = (await answer("leave", back.leave())).ok;
process.stdout.write(JSON.stringify(said), () => process.exit(0));
