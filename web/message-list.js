// The conversation: a window of rows over all messages that are loaded, which follows the end or stays where one reads.

import { h } from "./dom.js";
import { Row } from "./message-row.js";

// Rows in the document. Whoever reads far up or stays for days has no more of them than this.
const USUAL = 100;
const MOST = 220;
const STEP = 40;
// Pixels from an edge at which the next rows are fetched.
const NEAR = 700;
const AT_END = 48;

export class MessageList {
  #rows = new Map();
  #from = 0;
  #to = Infinity;
  #follows = true;
  #frame = 0;
  #loading = false;
  #offs;

  constructor(room, rooms, actions) {
    Object.assign(this, { room, rooms, actions });
    this.newAfter = room.unread > 0 ? room.lastRead : Infinity;
    this.top = h("li", { class: "top" });
    this.list = h("ol", { class: "messages" }, this.top);
    this.scroller = h("div", { class: "scroller", role: "region", "aria-label": "Messages", onscroll: () => this.#scrolled() }, this.list);
    this.down = h("button", { class: "down", type: "button", hidden: true, onclick: () => this.toEnd() }, "New messages");
    this.element = h("div", { class: "conversation" }, this.scroller, this.down);
    this.#offs = [room.on("messages", () => this.draw()), room.on("people", () => this.draw()), room.on("forgotten", () => this.#load(false))];
    this.#size = new ResizeObserver(() => this.#resized());
    this.#size.observe(this.scroller);
    this.#size.observe(this.list);
    if (!room.isLoaded) this.#load(false);
    this.draw();
  }

  #size;
  #height = 0;

  close() {
    for (const off of this.#offs) off();
    this.#size.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  get follows() {
    return this.#follows;
  }

  get rows() {
    return [...this.#rows.values()];
  }

  /** Draw in the next frame, however often that is asked for. */
  draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  toEnd() {
    this.#from = 0;
    this.#to = Infinity;
    this.#follows = true;
    this.#draw();
    this.actions.atEnd();
  }

  /** Return the row above or below another; from nowhere the last one. */
  neighbour(row, step) {
    const rows = this.rows;
    if (!row) return rows.at(-1);
    return rows[rows.indexOf(row) + step];
  }

  #draw() {
    const { messages } = this.room;
    if (this.#follows) this.room.trim();
    const [start, end] = this.#window(messages);
    const anchor = this.#follows ? null : this.#anchor();
    const shown = new Set();
    const unsent = this.rooms.unsent(this.room);
    const thrown = unsent.filter((item) => item.stamp);
    let place = this.top;
    const put = (key, message, above, extra) => {
      const row = this.#rows.get(key) ?? new Row(key, this.room, this.actions);
      this.#rows.set(key, row);
      shown.add(key);
      row.show(message, above, extra);
      if (place.nextSibling !== row.element) place.after(row.element);
      place = row.element;
    };
    for (let index = start; index < end; index++) {
      const message = messages[index];
      const above = messages[index - 1];
      const isFirstNew = message.id > this.newAfter && (above?.id ?? 0) <= this.newAfter;
      put(this.#key(message), message, above, { isFirstNew, thrown });
    }
    if (end === messages.length) this.#putWaiting(put, messages.at(-1), unsent);
    this.#forget(shown);
    this.#sortRows(shown);
    this.#drawTop(start);
    if (this.#follows) this.#fillScreen();
    else if (anchor) this.scroller.scrollTop += anchor.element.offsetTop - anchor.top;
    this.#setTabStop();
    this.down.hidden = this.#follows || (end === messages.length && !this.room.unread);
  }

  #putWaiting(put, above, unsent) {
    for (const item of unsent) {
      if (item.stamp || this.room.messages.some((message) => message.client_id === item.id)) continue;
      const message = { id: 0, rev: 0, body: item.body, type: "chat", member_id: this.room.me, inserted_at: item.at, stamps: [] };
      put(`own ${item.id}`, message, above, { waits: item });
      above = message;
    }
  }

  /** A message of ours keeps its row when it is told. */
  #key(message) {
    return message.client_id && this.room.isMine(message) ? `own ${message.client_id}` : message.id;
  }

  #window(messages) {
    const length = messages.length;
    if (this.#follows && (this.#from === 0 || length - indexFrom(messages, this.#from) > MOST)) {
      this.#from = messages[Math.max(0, length - USUAL)]?.id ?? 0;
    }
    const end = this.#to === Infinity ? length : indexFrom(messages, this.#to + 1);
    return [Math.min(indexFrom(messages, this.#from), end), end];
  }

  /** Find the first row in sight, so that what comes above it does not move it. */
  #anchor() {
    const top = this.scroller.scrollTop;
    for (const { element } of this.#rows.values()) {
      if (element.offsetTop + element.offsetHeight > top) return { element, top: element.offsetTop };
    }
    return null;
  }

  #forget(shown) {
    for (const [key, row] of this.#rows) {
      if (shown.has(key)) continue;
      const hadFocus = row.element.contains(document.activeElement);
      row.element.remove();
      this.#rows.delete(key);
      if (hadFocus) this.actions.focusLost();
    }
  }

  /** Keep the map in the order of the rows, which is what neighbours and the anchor go by. */
  #sortRows(shown) {
    const keys = [...shown];
    if ([...this.#rows.keys()].every((key, index) => key === keys[index])) return;
    this.#rows = new Map(keys.map((key) => [key, this.#rows.get(key)]));
  }

  #drawTop(start) {
    const text = !this.room.isLoaded || this.#loading
      ? "Loading…"
      : start === 0 && this.room.hasStart ? "This is where the room begins." : "";
    if (this.failed) {
      const again = h("button", { type: "button", onclick: () => this.#load(this.room.messages.length > 0) }, "Try again");
      this.top.replaceChildren("Earlier messages did not come. ", again);
    } else if (this.top.textContent !== text) this.top.textContent = text;
  }

  #setTabStop() {
    if (this.list.contains(document.activeElement)) return;
    const last = this.rows.at(-1)?.element;
    if (!last || last.tabIndex === 0) return;
    for (const { element } of this.#rows.values()) element.tabIndex = element === last ? 0 : -1;
  }

  /** Stay at the end; a screen that is taller than a page of messages gets another page. */
  #fillScreen() {
    this.#pin();
    const { scrollHeight, clientHeight } = this.scroller;
    const isShort = clientHeight > 0 && scrollHeight <= clientHeight + 1;
    if (isShort && this.room.messages.length && !this.room.hasStart && !this.failed) this.#load(true);
  }

  /** What is in sight stays there when a banner, the text that one writes or a keyboard takes some of the room. */
  #resized() {
    const height = this.scroller.clientHeight;
    if (this.#follows) this.#pin();
    else if (height !== this.#height) this.scroller.scrollTop += this.#height - height;
    this.#height = height;
  }

  #pin() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const below = scrollHeight - scrollTop - clientHeight;
    const followed = this.#follows;
    this.#follows = this.#to === Infinity && below < AT_END;
    if (this.#follows && !followed) {
      this.actions.atEnd();
      this.draw();
    }
    if (scrollTop < NEAR && !this.#follows) this.#up();
    else if (below < NEAR && this.#to !== Infinity) this.#downwards();
  }

  #up() {
    const { messages, hasStart } = this.room;
    const start = indexFrom(messages, this.#from);
    if (start > 0) this.#move(Math.max(0, start - STEP));
    else if (!hasStart && !this.failed) this.#load(true);
  }

  #move(start) {
    const { messages } = this.room;
    this.#from = messages[start]?.id ?? 0;
    const end = start + MOST;
    this.#to = end >= messages.length ? Infinity : messages[end - 1].id;
    this.draw();
  }

  #downwards() {
    const { messages } = this.room;
    const end = Math.min(messages.length, indexFrom(messages, this.#to + 1) + STEP);
    this.#to = end >= messages.length ? Infinity : messages[end - 1].id;
    this.#from = messages[Math.max(0, end - MOST)]?.id ?? 0;
    this.draw();
  }

  async #load(older) {
    if (this.#loading) return;
    this.#loading = true;
    this.failed = false;
    this.draw();
    try {
      await this.rooms.line(this.room).load({ older });
      if (older) this.#up();
    } catch {
      this.failed = true;
    } finally {
      this.#loading = false;
      this.draw();
    }
  }
}

/** Return where the first message with at least this id stands. */
function indexFrom(messages, id) {
  let [low, high] = [0, messages.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (messages[middle].id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
