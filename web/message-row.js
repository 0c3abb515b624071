// One row of the conversation. It is drawn anew only when its message, or what stands above it, has changed.

import { h, said } from "./dom.js";
import { describeStamps, drawStamp, inkOf, land } from "./stamp.js";
import { dayNumber, dayOf, parse, timeOf, wholeOf } from "./time.js";

const LONG = 1500;
const LONG_LINES = 30;
const TOGETHER_MS = 300_000;

/** Say whether a message goes on from the one above it: the same person within minutes. */
function continues(message, above) {
  if (!above || above.type !== "chat" || message.type !== "chat" || above.member_id !== message.member_id) return false;
  return dayNumber(above.inserted_at) === dayNumber(message.inserted_at)
    && parse(message.inserted_at) - parse(above.inserted_at) < TOGETHER_MS;
}

export class Row {
  #drawn = "";
  #stamps = new Map();
  #isFirst = true;
  #isWhole = false;

  constructor(key, room, actions) {
    Object.assign(this, { key, room, actions });
    this.element = h("li", { class: "row", tabindex: "-1" });
    this.element.row = this;
  }

  /** Show a message under the one above it; `waits` and `thrown` are items of the outbox: it, and stamps for the room. */
  show(message, above, { waits = null, isFirstNew = false, thrown = [] } = {}) {
    this.message = message;
    this.waits = waits;
    const isMore = !isFirstNew && continues(message, above);
    const isNewDay = !above || dayNumber(above.inserted_at) !== dayNumber(message.inserted_at);
    const name = this.room.nameOf(message.member_id);
    const look = [message.id, message.rev, message.body, isMore, isNewDay, isFirstNew, name, waits?.why, !!waits, this.room.me].join("|");
    if (look !== this.#drawn) this.#draw(message, { isMore, isNewDay, isFirstNew, name });
    this.#drawn = look;
    if (!waits && message.type === "chat") this.#showStamps(message.stamps, message.deleted ? [] : thrown);
  }

  get bubble() {
    return this.element.querySelector(".bubble");
  }

  get canBeStamped() {
    return !this.waits && this.message.type === "chat" && !this.message.deleted;
  }

  #draw(message, { isMore, isNewDay, isFirstNew, name }) {
    const isMine = this.waits !== null || this.room.isMine(message);
    this.element.className = ["row", message.type === "chat" ? (isMine ? "mine" : "theirs") : "info", isMore && "more"].filter(Boolean).join(" ");
    if (this.waits) this.element.classList.add("waiting");
    this.#stamps.clear();
    this.#isFirst = true;
    const above = [
      isNewDay && h("div", { class: "day" }, h("span", {}, dayOf(message.inserted_at))),
      isFirstNew && h("div", { class: "new" }, h("span", {}, "New")),
    ];
    // The toolbar lives in one row at a time; drawing a row anew must not throw it away.
    const toolbar = this.element.querySelector(".actions");
    if (message.type === "chat") this.element.replaceChildren(...above.filter(Boolean), ...this.#chat(message, isMore, name));
    else this.element.replaceChildren(...above.filter(Boolean), said(message.body, "p", { class: "happened" }));
    if (toolbar) this.element.append(toolbar);
  }

  #chat(message, isMore, name) {
    const time = h("time", { datetime: `${message.inserted_at}Z`, title: wholeOf(message.inserted_at) }, timeOf(message.inserted_at));
    const ink = inkOf(message.member_id);
    const head = isMore
      ? h("span", { class: "sr" }, said(name), " ", time.cloneNode(true))
      : h("div", { class: "head" }, said(name, "bdi", { class: `name ink-${ink}` }), " ", time);
    return [head, this.#bubble(message), this.#state()].filter(Boolean);
  }

  #bubble(message) {
    const text = message.deleted
      ? h("p", { class: "text gone" }, "This message was deleted.")
      : said(message.body, "p", { class: "text" });
    const parts = [text];
    const isLong = message.body.length > LONG || message.body.split("\n", LONG_LINES + 1).length > LONG_LINES;
    if (isLong && !this.#isWhole) {
      text.classList.add("long");
      parts.push(h("button", { class: "whole", type: "button", onclick: () => this.#showWhole(text) }, "Show all of it"));
    }
    if (message.edited_at && !message.deleted) parts.push(h("span", { class: "edited" }, "edited"));
    this.layer = h("span", { class: "stamps", "aria-hidden": "true" });
    this.told = h("span", { class: "sr" });
    return h("div", { class: "bubble" }, ...parts, this.layer, this.told);
  }

  #showWhole(text) {
    this.#isWhole = true;
    text.classList.remove("long");
    this.element.querySelector(".whole").remove();
    this.element.focus({ preventScroll: true });
  }

  #state() {
    if (!this.waits) return null;
    const { why } = this.waits;
    if (!why) return h("p", { class: "state" }, "Waiting to be sent");
    const again = h("button", { type: "button", onclick: () => this.actions.sendAgain(this.waits) }, "Send again");
    const discard = h("button", { type: "button", onclick: () => this.actions.discard(this.waits) }, "Discard");
    return h("p", { class: "state failed" }, `Not sent. ${why} `, again, discard);
  }

  /** Let those fall that are new; what lay there before one came to look has landed already. */
  #showStamps(stored, thrown) {
    const id = this.message.id;
    const all = new Map(stored.map((stamp) => [keyOf(stamp), stamp]));
    for (const { id: client, stamp } of thrown) {
      if (stamp.messageId !== id) continue;
      const waiting = { id: 0, client_id: client, member_id: this.room.me, word: stamp.word, x_pos: stamp.x, y_pos: stamp.y, strength: stamp.strength };
      if (!all.has(keyOf(waiting))) all.set(keyOf(waiting), waiting);
    }
    for (const [key, element] of this.#stamps) if (!all.has(key)) element.remove(), this.#stamps.delete(key);
    let next = this.layer.firstElementChild;
    for (const [key, stamp] of all) {
      const element = this.#stamps.get(key) ?? drawStamp(stamp);
      // In their order, so that the later lies on top for everybody: one that waits may be told after another is drawn.
      if (element === next) next = next.nextElementSibling;
      else this.layer.insertBefore(element, next);
      if (!this.#stamps.has(key) && !this.#isFirst) land(element);
      element.classList.toggle("waits", !stamp.id);
      this.#stamps.set(key, element);
    }
    this.#isFirst = false;
    const told = stored.length ? ` Stamped: ${describeStamps(stored, (member) => this.room.nameOf(member))}.` : "";
    if (this.told.textContent !== told) this.told.textContent = told;
  }
}

/** A stamp of ours keeps its place when it is told. */
const keyOf = (stamp) => `${stamp.member_id} ${stamp.client_id ?? stamp.id}`;
