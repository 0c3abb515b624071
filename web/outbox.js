// What was said or stamped and is not known to be stored. It is kept across reloads, shared by tabs, and sent until it is told.

import { Emitter } from "./emitter.js";
import { load, save, watch } from "./storage.js";

/** Return a name for a message or a stamp that nobody else gives; pages without https have no randomUUID. */
function name() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Emits "changed" with a room's id. Items are {id, by, room, at} with a body or a stamp, and, where it was refused, {why}. */
export class Outbox extends Emitter {
  #items = load("outbox", []);

  constructor() {
    super();
    watch("outbox", () => {
      const rooms = new Set(this.#items.map((item) => item.room));
      this.#items = load("outbox", []);
      for (const item of this.#items) rooms.add(item.room);
      for (const room of rooms) this.emit("changed", room);
    });
  }

  /** What one person has yet to say and stamp in a room, oldest first. */
  of(identity, room) {
    return this.#items.filter((item) => item.by === identity && item.room === room);
  }

  /** Keep something: `what` is {body} or {stamp: {messageId, word, x, y, strength}}. */
  add(identity, room, what) {
    const item = { id: name(), by: identity, room, ...what, at: new Date().toISOString().slice(0, 19) };
    this.#change(room, (items) => [...items, item]);
    return item;
  }

  /** Forget one that was told, or that its author takes back. */
  done(id) {
    const item = this.#items.find((each) => each.id === id);
    if (item) this.#change(item.room, (items) => items.filter((each) => each.id !== id));
  }

  /** Note why one was refused, or ("") that it is tried again. */
  refuse(id, why) {
    const item = this.#items.find((each) => each.id === id);
    if (item) this.#change(item.room, (items) => items.map((each) => (each.id === id ? { ...each, why } : each)));
  }

  /** Forget all that somebody has yet to say in a room that they are no longer in. */
  forget(identity, room) {
    this.#change(room, (items) => items.filter((item) => item.by !== identity || item.room !== room));
  }

  #change(room, change) {
    // Another tab may have changed it a moment ago, before we were told.
    this.#items = change(load("outbox", this.#items));
    save("outbox", this.#items.length ? this.#items : null);
    this.emit("changed", room);
  }
}
