// All rooms of one person: a line to each, so that the list tells what happens where one is not looking.

import { Failure } from "./api.js";
import { Emitter } from "./emitter.js";
import { Line } from "./line.js";
import { Room } from "./room.js";

// A socket takes a hundred topics; older rooms are asked about when one looks at them.
const MOST_LINES = 80;
const TOGETHER_MS = 150;

/** Emits "changed" when the list shows something else, "said" with a room and a new message, "gone" with a room, "dropped" with why a stamp fell off. */
export class Rooms extends Emitter {
  #rooms = new Map();
  #lines = new Map();
  #soon = null;
  #asked = 0;
  #taken = 0;
  isLoaded = false;

  constructor(session, connection, outbox) {
    super();
    Object.assign(this, { session, connection, outbox });
    connection.on("changed", () => connection.isOnline && this.refreshSoon());
    outbox.on("changed", (id) => this.#rooms.get(id)?.emit("messages"));
  }

  /** The rooms, the one in which something was said last first. */
  get all() {
    const newest = (room) => room.last?.id ?? 0;
    return [...this.#rooms.values()].sort((a, b) => newest(b) - newest(a) || b.id - a.id);
  }

  get(id) {
    return this.#rooms.get(id);
  }

  /** Return the line to a room, opened if it was not. */
  line(room) {
    const known = this.#lines.get(room.id);
    if (known && known.topic === room.topic) return known;
    known?.close();
    const line = new Line(room, this.connection, this.session, this.outbox);
    this.#lines.set(room.id, line);
    line.on("strangers", () => this.refreshSoon());
    line.on("gone", () => this.#lost(room, line));
    line.on("dropped", (why) => this.emit("dropped", why));
    // A room that is gone has a line that says so to whoever still asks.
    if (this.#rooms.get(room.id) === room) line.open();
    else this.#lines.delete(room.id);
    return line;
  }

  async refresh() {
    const asked = ++this.#asked;
    const { data } = await this.session.call("GET", "/chat/channels");
    // Overtaken by a later one, it would take away a room that was made meanwhile, or bring back one that was left.
    if (asked < this.#taken) return;
    this.#taken = asked;
    const there = new Set(data.map((channel) => channel.id));
    for (const channel of data) this.#take(channel);
    for (const room of this.all) if (!there.has(room.id)) this.#remove(room);
    for (const room of this.all.slice(0, MOST_LINES)) this.line(room);
    this.isLoaded = true;
    this.emit("changed");
  }

  /** Ask again in a moment; many reasons make one question. */
  refreshSoon() {
    this.#soon ??= setTimeout(() => {
      this.#soon = null;
      this.refresh().catch(() => {});
    }, TOGETHER_MS);
  }

  async create(name) {
    const { data } = await this.session.call("POST", "/chat/channels", { channel_name: name });
    await this.refresh();
    return this.#rooms.get(data.id);
  }

  /** Come into a room by its invitation. */
  async join(topic) {
    await this.session.call("POST", "/chat/channels/join", { topic });
    await this.refresh();
    const room = this.all.find((each) => each.topic === topic);
    if (!room) throw new Failure("That invitation leads nowhere any more.", "not_found");
    return room;
  }

  async leave(room) {
    await this.session.call("POST", "/chat/channels/leave", { channel_id: room.id });
    this.#taken = ++this.#asked;
    this.#remove(room);
    this.emit("changed");
  }

  /** Say {body} or throw {stamp} in a room: now, or when the connection is back. */
  say(room, what) {
    this.line(room).send(this.outbox.add(this.session.user.identity, room.id, what));
  }

  /** Do what only its owner may: rename it, renew its invitation, remove somebody. */
  async own(room, method, what, body) {
    const { data } = await this.session.call(method, `/chat/channels/${room.id}${what}`, body);
    if (data) room.update({ ...data, members: [] });
    this.refreshSoon();
  }

  /** Return the ids of those whom one has blocked. */
  async blocked() {
    const { data } = await this.session.call("GET", "/chat/blocks");
    return data.map(({ user }) => user.id);
  }

  /** Hear somebody no more, or again; what they have said goes, or comes back. */
  async block(user, isBlocked) {
    if (isBlocked) await this.session.call("POST", "/chat/blocks", { user_id: user });
    else await this.session.call("DELETE", `/chat/blocks/${user}`);
    for (const room of this.all) room.forget();
    await this.refresh();
  }

  unsent(room) {
    return this.outbox.of(this.session.user?.identity, room.id);
  }

  close() {
    clearTimeout(this.#soon);
    for (const line of this.#lines.values()) line.close();
  }

  #take(channel) {
    const known = this.#rooms.get(channel.id);
    if (known) {
      known.update(channel);
      return;
    }
    const room = new Room(channel, this.session.user.identity);
    this.#rooms.set(room.id, room);
    room.on("changed", () => this.emit("changed"));
    room.on("said", (message) => this.emit("said", room, message));
  }

  /** A line was cut: the room has a new invitation, or is no longer ours; the list of rooms tells which. */
  #lost(room, line) {
    if (this.#lines.get(room.id) === line) this.#lines.delete(room.id);
    this.refreshSoon();
  }

  #remove(room) {
    this.#lines.get(room.id)?.close();
    this.#lines.delete(room.id);
    if (!this.#rooms.delete(room.id)) return;
    this.outbox.forget(this.session.user?.identity, room.id);
    this.emit("gone", room);
  }
}
