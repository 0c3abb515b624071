// The line to one room: its Phoenix channel, which comes back by itself, and what is done when it does.

import { Presence } from "phoenix";
import { Failure } from "./api.js";
import { Emitter } from "./emitter.js";

const WORDS = {
  deleted: "That message was deleted.",
  "The message was deleted.": "That message was deleted.",
  unauthorized: "You are no longer in this room.",
  "messageId names no message of this room": "That message was deleted.",
};
const OFFLINE = "You are offline, so that could not be done just now.";
// Pages that are looked through for a gap, and for stamps that fell meanwhile.
const MOST_PAGES = 10;
const RETRY_MS = 2000;
const WAIT_MS = 10_000;

/** Emits "gone" when the room is no longer ours, "strangers" when somebody speaks whom we do not know, "dropped" with why. */
export class Line extends Emitter {
  #channel = null;
  #presence = null;
  #joins = 0;
  #leaving = false;
  #lastTyping = -Infinity;

  constructor(room, connection, session, outbox) {
    super();
    Object.assign(this, { room, connection, session, outbox });
  }

  open() {
    const { room } = this;
    this.topic = room.topic;
    const channel = this.connection.socket.channel(`room:${room.topic}`, () => ({
      last_message_id: room.newestId,
      presence: true,
      ...(room.seenAt ? { changes_since: room.seenAt } : {}),
    }));
    this.#channel = channel;
    channel.on("shout", ({ type, data }) => (type === "stamp" ? this.#stamped(data) : this.#heard(data)));
    for (const event of ["edit", "delete"]) channel.on(event, ({ data }) => room.change(data));
    channel.on("changes", (changes) => this.#changed(changes));
    channel.on("read", ({ member_id: member, message_id: message }) => room.read(member, message));
    channel.on("whisper", ({ member_id: member, data }) => room.whispered(member, data));
    channel.on("channel", (changed) => room.update({ ...changed, members: [] }));
    this.#presence = new Presence(channel);
    this.#presence.onSync(() => room.setPresent(this.#presence.list((id) => Number(id))));
    channel.onClose(() => this.#leaving || this.emit("gone"));
    channel.join().receive("ok", (reply) => this.#joined(reply)).receive("error", (reply) => this.#refused(reply));
  }

  close() {
    this.#leaving = true;
    this.#channel?.leave();
  }

  get isOpen() {
    return this.connection.isOnline && this.#channel?.state === "joined";
  }

  /** Send an event and return its answer; a channel that is just coming back sends it then. */
  ask(event, payload) {
    const isComing = this.connection.isOnline && this.#channel?.state === "joining";
    if (!this.isOpen && !isComing) return Promise.reject(new Failure(OFFLINE, "offline"));
    return new Promise((resolve, reject) => {
      this.#channel
        .push(event, payload)
        .receive("ok", resolve)
        .receive("error", ({ reason }) => reject(new Failure(explain(reason), reason)))
        .receive("timeout", () => reject(new Failure("No answer came; please try again.", "timeout")));
    });
  }

  /** Send a message or a stamp of the outbox; it leaves the outbox when it is told. */
  send(item) {
    if (!this.isOpen || item.why) return;
    const { id, body, stamp } = item;
    this.#channel
      .push(...(stamp ? ["stamp", payloadOf(id, stamp)] : ["shout", { message: body, id }]), WAIT_MS)
      // A stamp that was stored already is told to nobody once more.
      .receive("ok", ({ data }) => data && this.#stamped(data))
      .receive("error", ({ reason }) => this.#unsent(item, reason))
      // By its id it is stored once, however often it is sent.
      .receive("timeout", () => this.#isWaiting(item) && this.send(item));
  }

  typing(isTyping) {
    const now = performance.now();
    if (!this.isOpen || (isTyping && now - this.#lastTyping < 2500)) return;
    this.#lastTyping = isTyping ? now : -Infinity;
    this.#channel.push("whisper", { typing: isTyping });
  }

  read(messageId) {
    if (this.isOpen) this.ask("read", { message_id: messageId }).catch(() => {});
  }

  /** Load the newest page, or the next older one. */
  async load({ older = false } = {}) {
    const { room } = this;
    room.isLoaded = true;
    try {
      const page = await this.#page(older ? room.oldestId : 0);
      room.merge(page.messages);
      if (page.is_last_message) room.hasStart = true;
      this.#told(page.messages);
    } catch (failure) {
      if (!older) room.isLoaded = room.messages.length > 0;
      throw failure;
    } finally {
      room.emit("messages");
    }
  }

  async #page(before) {
    const query = before ? `?last_message_id=${before}` : "";
    const { data } = await this.session.call("GET", `/chat/channels/${this.room.id}/events${query}`);
    this.room.addMembers(data.members);
    return data;
  }

  #joined({ messages = [], recovered = true }) {
    this.#joins += 1;
    for (const message of messages) this.#heard(message);
    if (this.room.isLoaded && (this.#joins > 1 || !recovered)) this.#fill(recovered).catch(() => {});
    for (const item of this.#waiting) this.send(item);
    this.room.emit("messages");
    this.room.emit("joined");
  }

  /** Look through the pages that are shown: for what the replay left out, and for stamps on what was there before. */
  async #fill(recovered) {
    const { room } = this;
    const oldest = room.oldestId;
    const known = new Set(room.messages.map((message) => message.id));
    let pages = [];
    for (let before = 0, count = 0; count < MOST_PAGES; count++) {
      const page = await this.#page(before);
      pages = [...page.messages.reverse(), ...pages];
      before = pages[0]?.id ?? 0;
      const meets = page.messages.some((message) => known.has(message.id));
      if (page.is_last_message || (before <= oldest && meets)) return this.#fit(pages, true);
    }
    return this.#fit(pages, recovered);
  }

  #fit(pages, meets) {
    if (meets) this.room.merge(pages);
    else this.room.reset(pages);
    this.#told(pages);
  }

  #refused({ reason }) {
    if (reason !== "unauthorized") return;
    this.close();
    this.emit("gone");
  }

  #heard(message) {
    if (message.member_id && !this.room.members.has(message.member_id)) this.emit("strangers");
    this.room.hear(message);
    this.#told([message]);
  }

  #stamped(stamp) {
    if (!this.room.members.has(stamp.member_id)) this.emit("strangers");
    this.room.addStamp(stamp);
    this.#landed([stamp]);
  }

  #changed({ messages, complete, now }) {
    if (now > this.room.seenAt) this.room.seenAt = now;
    for (const message of messages) {
      const known = this.room.get(message.id);
      if (known) this.room.merge([message]);
    }
    if (!complete && this.room.isLoaded) this.#fill(false).catch(() => {});
  }

  #told(messages) {
    for (const message of messages) {
      if (message.client_id && message.member_id === this.room.me) this.outbox.done(message.client_id);
      this.#landed(message.stamps ?? []);
    }
  }

  #landed(stamps) {
    for (const stamp of stamps) if (stamp.member_id === this.room.me) this.outbox.done(stamp.client_id ?? this.#isLike(stamp));
  }

  /** Find what a service of an older version tells without our id, as one does that is being replaced. */
  #isLike({ message_id: messageId, word, x_pos: x, y_pos: y, strength }) {
    const like = JSON.stringify([messageId, word, x, y, strength]);
    const is = ({ stamp }) => stamp && like === JSON.stringify([stamp.messageId, stamp.word, stamp.x, stamp.y, stamp.strength]);
    return this.#waiting.find(is)?.id;
  }

  get #waiting() {
    return this.outbox.of(this.session.user?.identity, this.room.id);
  }

  #isWaiting(item) {
    return this.outbox.of(item.by, item.room).some((each) => each.id === item.id && !each.why);
  }

  #unsent(item, reason) {
    // Too much at once, or a database that is away: it passes, and the message is sent again.
    const passes = /^rate limited|again|away|stopping|stored/i.test(reason);
    if (passes) setTimeout(() => this.#isWaiting(item) && this.send(item), RETRY_MS);
    else if (item.stamp) this.#dropped(item, reason);
    else this.outbox.refuse(item.id, explain(reason));
  }

  /** A stamp that is refused falls off: most often its message is gone. */
  #dropped(item, reason) {
    this.outbox.done(item.id);
    this.emit("dropped", explain(reason));
  }
}

const payloadOf = (id, { messageId, word, x, y, strength }) => ({ id, messageId, word, xPos: x, yPos: y, strength });

/** Put a reason into a sentence. */
function explain(reason = "") {
  if (WORDS[reason]) return WORDS[reason];
  if (/^rate limited/.test(reason)) return "That was too much at once; wait a moment.";
  return `${reason.charAt(0).toUpperCase()}${reason.slice(1).replace(/\.$/, "")}.`;
}
