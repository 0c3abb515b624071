// One room: who is in it and what was said, in the order of the ids, which is the order in which it was told.

import { Emitter } from "./emitter.js";

const TYPING_MS = 5000;
// Kept while one reads at the end; what is older can be loaded again.
const KEEP = 1500;
const GONE = "Somebody";

/** Emits "changed" (anything that a list of rooms shows), "messages", "people", and "said" with a message that is new. */
export class Room extends Emitter {
  messages = [];
  hasStart = false;
  isLoaded = false;
  members = new Map();
  present = new Set();
  unread = 0;
  lastRead = 0;
  last = null;
  seenAt = "";
  #byId = new Map();
  #typing = new Map();

  constructor(channel, identity) {
    super();
    this.id = channel.id;
    this.identity = identity;
    this.update(channel);
  }

  /** Take what a list of rooms says. */
  update(channel) {
    this.topic = channel.topic;
    this.name = channel.friendly_name || "A room without a name";
    this.owner = channel.owner_member_id ?? this.owner;
    this.addMembers(channel.members ?? []);
    if (channel.last_message && channel.last_message.id >= (this.last?.id ?? 0)) this.#setLast(channel.last_message);
    if (channel.last_read_message_id !== undefined) {
      this.lastRead = Math.max(this.lastRead, channel.last_read_message_id ?? 0);
      this.unread = channel.unread ?? 0;
    }
    this.emit("changed");
  }

  addMembers(members) {
    for (const { id, user } of members) {
      this.members.set(id, { id, user: user.id, name: user.friendly_name || GONE });
      if (user.identity === this.identity) this.me = id;
    }
    this.emit("people");
  }

  nameOf(memberId) {
    return this.members.get(memberId)?.name ?? GONE;
  }

  isMine(message) {
    return message.member_id === this.me && message.type === "chat";
  }

  mayEdit(message) {
    return this.isMine(message) && !message.deleted;
  }

  mayDelete(message) {
    return message.type === "chat" && !message.deleted && (this.isMine(message) || this.owner === this.me);
  }

  get(id) {
    return this.#byId.get(id);
  }

  get oldestId() {
    return this.messages[0]?.id ?? 0;
  }

  get newestId() {
    return Math.max(this.messages.at(-1)?.id ?? 0, this.last?.id ?? 0);
  }

  /** Take a message that was said just now, or while we were away. */
  hear(message) {
    this.#typing.delete(message.member_id);
    const isNew = message.id > this.newestId;
    if (this.isLoaded) this.merge([message]);
    if (message.id >= (this.last?.id ?? 0)) this.#setLast(message);
    if (!isNew) return;
    if (message.type === "chat" && !this.isMine(message)) this.unread = Math.min(99, this.unread + 1);
    this.emit("changed");
    this.emit("said", message);
  }

  /** Take messages as they are stored, in whatever order; known ones are replaced. */
  merge(messages) {
    for (const message of messages) {
      this.#see(message);
      const known = this.#byId.get(message.id);
      if (known) this.#replace(known, message);
      else this.#insert({ ...message, rev: 0 });
    }
    this.emit("messages");
  }

  /** Take an edit or a deletion. */
  change(message) {
    this.#see(message);
    const known = this.#byId.get(message.id);
    if (known) this.#replace(known, message);
    if (this.last?.id === message.id) this.#setLast(message);
    this.emit("changed");
    this.emit("messages");
  }

  addStamp(stamp) {
    this.#see(stamp);
    const message = this.#byId.get(stamp.message_id);
    if (!message || message.deleted || message.stamps.some((each) => each.id === stamp.id)) return;
    message.stamps = [...message.stamps, stamp];
    this.emit("messages");
  }

  /** Begin anew with these, because what lies between them and what we had is too much. */
  reset(messages) {
    this.messages = [];
    this.#byId.clear();
    this.hasStart = false;
    this.merge(messages);
  }

  /** Forget what was said, because it is decided otherwise whom one hears; it is loaded again by whoever shows it. */
  forget() {
    this.reset([]);
    this.last = null;
    this.isLoaded = false;
    this.emit("forgotten");
  }

  /** Forget what is far above the end, so that a room that is open for days stays small. */
  trim() {
    if (this.messages.length <= KEEP) return;
    for (const message of this.messages.splice(0, this.messages.length - KEEP)) this.#byId.delete(message.id);
    this.hasStart = false;
  }

  /** Take how far a member has read; our own marker is that of all our devices. */
  read(memberId, messageId) {
    if (memberId !== this.me || messageId <= this.lastRead) return;
    this.lastRead = messageId;
    const behind = this.messages.filter((each) => each.id > messageId && each.type === "chat" && !this.isMine(each));
    this.unread = messageId >= this.newestId ? 0 : Math.min(this.unread, behind.length || this.unread);
    this.emit("changed");
  }

  whispered(memberId, data) {
    if (memberId === this.me || typeof data?.typing !== "boolean") return;
    clearTimeout(this.#typing.get(memberId));
    if (data.typing) this.#typing.set(memberId, setTimeout(() => this.#stopTyping(memberId), TYPING_MS));
    else this.#typing.delete(memberId);
    this.emit("people");
  }

  get typing() {
    return [...this.#typing.keys()].map((id) => this.nameOf(id));
  }

  setPresent(ids) {
    this.present = new Set(ids);
    this.emit("people");
  }

  #stopTyping(memberId) {
    this.#typing.delete(memberId);
    this.emit("people");
  }

  #insert(message) {
    this.#byId.set(message.id, message);
    let at = this.messages.length;
    while (at > 0 && this.messages[at - 1].id > message.id) at--;
    this.messages.splice(at, 0, message);
  }

  #replace(known, message) {
    // A page that was asked for before a change may arrive after we heard of it.
    const told = isOlder(message, known) ? known : message;
    const isSame = known.body === told.body && known.deleted === told.deleted && known.edited_at === told.edited_at;
    // An edit comes without its stamps, and a page may be older than one that fell meanwhile.
    const stamps = new Map([...known.stamps, ...message.stamps].map((stamp) => [stamp.id, stamp]));
    Object.assign(known, told, { rev: isSame ? known.rev : known.rev + 1, stamps: told.deleted ? [] : [...stamps.values()] });
  }

  #setLast(message) {
    this.#see(message);
    if (this.last?.id !== message.id || !isOlder(message, this.last)) this.last = message;
  }

  /** Remember the greatest time of the server's that we have seen: since then we ask for changes. */
  #see({ inserted_at: inserted = "", edited_at: edited = "" }) {
    for (const time of [inserted, edited]) if (time > this.seenAt) this.seenAt = time;
  }
}

/** Tell whether a message is as it was before it was changed to what we know. */
function isOlder(message, known) {
  if (message.deleted || known.deleted) return !message.deleted;
  return (message.edited_at ?? "") < (known.edited_at ?? "");
}
