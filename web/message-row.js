// One row of the conversation. It is drawn anew only when its message, or what stands above it, has changed.

import { h, said } from "./dom.js";
import { describeStamps, drawStamp, inkOf } from "./stamp.js";
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
  #isWhole = false;

  constructor(key, room, actions) {
    Object.assign(this, { key, room, actions });
    this.element = h("li", { class: "row", tabindex: "-1" });
    this.element.row = this;
  }

  /** Show a message under the one above it; `waits` is its item of the outbox, where it is not stored yet. */
  show(message, above, { waits = null, isFirstNew = false } = {}) {
    this.message = message;
    this.waits = waits;
    const isMore = !isFirstNew && continues(message, above);
    const isNewDay = !above || dayNumber(above.inserted_at) !== dayNumber(message.inserted_at);
    const name = this.room.nameOf(message.member_id);
    const look = [message.id, message.rev, message.body, isMore, isNewDay, isFirstNew, name, waits?.why, !!waits, this.room.me].join("|");
    if (look !== this.#drawn) this.#draw(message, { isMore, isNewDay, isFirstNew, name });
    this.#drawn = look;
    if (!waits) this.#showStamps(message);
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

  #showStamps(message) {
    const stamps = message.stamps ?? [];
    const isFirst = this.#stamps.size === 0 && !this.wasShown;
    if (message.type !== "chat" || (stamps.length === this.#stamps.size && !stamps.length)) {
      this.wasShown = true;
      return;
    }
    const there = new Set(stamps.map((stamp) => stamp.id));
    for (const [id, element] of this.#stamps) if (!there.has(id)) element.remove(), this.#stamps.delete(id);
    const fresh = stamps.filter((stamp) => !this.#stamps.has(stamp.id));
    for (const stamp of fresh) {
      const element = drawStamp(stamp);
      // What lay there before one came to look has landed already.
      if (!isFirst) element.classList.add("lands");
      this.#stamps.set(stamp.id, element);
      this.layer.append(element);
    }
    if (fresh.length || this.told.textContent === "") {
      this.told.textContent = stamps.length ? ` Stamped: ${describeStamps(stamps, (id) => this.room.nameOf(id))}.` : "";
    }
    this.wasShown = true;
  }
}
