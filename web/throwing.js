// Throw a stamp: pick a word, press it onto a message, hold on for more strength, let go. By pointer, touch or keys.

import { announce } from "./notices.js";
import { drawGhost, inkOf, setShape, shapeOf } from "./stamp.js";

const LEAST = 0.12;
const FULL_MS = 1400;
// A press that moves further than this drags the word; one that does not picks it.
const DRAG_PIXELS = 6;
const KEY_STEP = 0.1;

/** Hold one word at a time over one conversation. `thrown(row, stamp)` is called when it is let go. */
export class Throwing {
  word = null;
  #ghost = null;
  #target = null;
  #since = 0;
  #at = { x: 0.5, y: 0.5 };
  #pointer = { x: 0, y: 0 };
  #frame = 0;
  #isKey = false;
  #escape;

  constructor(room, list, { changed, thrown }) {
    Object.assign(this, { room, list, changed, thrown });
    const { list: rows } = list;
    rows.addEventListener("pointerdown", (event) => this.#press(event));
    rows.addEventListener("keydown", (event) => this.#keyDown(event));
    rows.addEventListener("keyup", (event) => this.#keyUp(event));
    rows.addEventListener("focusout", () => this.#isKey && this.#cancel());
    // Wherever the focus is, Escape puts the word back.
    this.#escape = (event) => event.key === "Escape" && this.word !== null && this.#putBack(event);
    document.addEventListener("keydown", this.#escape, { capture: true });
    // A long press would open the browser's menu under the finger.
    rows.addEventListener("contextmenu", (event) => this.word !== null && event.preventDefault());
  }

  /** Take a word into the hand; null puts it back. */
  pick(word) {
    this.#cancel();
    this.word = word;
    this.list.element.classList.toggle("armed", word !== null);
    this.changed(word);
  }

  /** Let a word of the tray be dragged from there. */
  drag(event, word) {
    if (event.button !== 0) return;
    const from = { x: event.clientX, y: event.clientY };
    const source = event.currentTarget;
    let isDrag = false;
    source.setPointerCapture(event.pointerId);
    const move = (moved) => {
      if (moved.pointerId !== event.pointerId) return;
      if (!isDrag && Math.hypot(moved.clientX - from.x, moved.clientY - from.y) > DRAG_PIXELS) {
        isDrag = true;
        this.pick(word);
      }
      if (isDrag) this.#hover(moved);
    };
    const end = (ended) => {
      if (ended.pointerId !== event.pointerId) return;
      off();
      if (!isDrag) return;
      // The click that follows a drag is not a pick.
      source.addEventListener("click", stop, { capture: true, once: true });
      setTimeout(() => source.removeEventListener("click", stop, { capture: true }));
      if (ended.type === "pointerup") this.#hover(ended);
      if (ended.type === "pointerup" && this.#target) this.#letGo();
      else this.pick(null);
    };
    const off = () => ["pointermove", "pointerup", "pointercancel"].forEach((name, at) => source.removeEventListener(name, [move, end, end][at]));
    ["pointermove", "pointerup", "pointercancel"].forEach((name, at) => source.addEventListener(name, [move, end, end][at]));
  }

  close() {
    this.#cancel();
    document.removeEventListener("keydown", this.#escape, { capture: true });
  }

  #putBack(event) {
    event.preventDefault();
    event.stopPropagation();
    this.pick(null);
    announce("Put back.");
  }

  #press(event) {
    if (this.word === null || event.button !== 0) return;
    const row = rowAt(event.target);
    if (!row) return;
    event.preventDefault();
    // Held by the list: the message itself may be drawn anew meanwhile, by an edit for instance.
    const { list } = this.list;
    list.setPointerCapture(event.pointerId);
    this.#hover(event, row);
    const offs = [];
    const on = (name, listener) => {
      list.addEventListener(name, listener);
      offs.push(() => list.removeEventListener(name, listener));
    };
    on("pointermove", (moved) => this.#place(moved, row));
    on("pointerup", (ended) => {
      offs.forEach((off) => off());
      this.#place(ended, row);
      if (this.#target) this.#letGo();
    });
    on("pointercancel", () => {
      offs.forEach((off) => off());
      this.#cancel();
    });
  }

  /** Hold the word where the pointer is; over a message it gains strength. */
  #hover(event, row = rowAt(document.elementFromPoint(event.clientX, event.clientY))) {
    if (row !== this.#target) {
      this.#target?.element.classList.remove("aimed");
      this.#target = row;
      this.#since = performance.now();
      row?.element.classList.add("aimed");
    }
    this.#place(event, row);
  }

  #place(event, row) {
    this.#pointer = { x: event.clientX, y: event.clientY };
    if (row) {
      const box = row.bubble.getBoundingClientRect();
      this.#at = { x: part(event.clientX - box.left, box.width), y: part(event.clientY - box.top, box.height) };
      // Dropped beside the message it falls on its edge; far away it is taken back.
      const isFar = Math.max(box.left - event.clientX, event.clientX - box.right, box.top - event.clientY, event.clientY - box.bottom) > 60;
      if (isFar) return this.#cancel();
    }
    return this.#show();
  }

  #show() {
    this.#ghost ??= document.body.appendChild(drawGhost(this.word, inkOf(this.room.me)));
    this.#frame ||= requestAnimationFrame(() => this.#grow());
  }

  #grow() {
    this.#frame = 0;
    if (!this.#ghost) return;
    const { turn, size } = shapeOf(this.#strength());
    setShape(this.#ghost, turn, size);
    this.#ghost.style.setProperty("--x", `${this.#pointer.x}px`);
    this.#ghost.style.setProperty("--y", `${this.#pointer.y}px`);
    this.#frame = requestAnimationFrame(() => this.#grow());
  }

  #strength() {
    if (!this.#target) return LEAST;
    return Math.min(1, LEAST + ((1 - LEAST) * (performance.now() - this.#since)) / FULL_MS);
  }

  #keyDown(event) {
    if (this.word === null) return;
    const row = event.target.row;
    if (row?.canBeStamped && (event.key === " " || event.key === "Enter")) {
      event.preventDefault();
      if (!event.repeat && !this.#target) this.#aimByKey(row);
    } else if (row && this.#target === row && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      event.preventDefault();
      this.#at.x = part(this.#at.x + (event.key === "ArrowLeft" ? -KEY_STEP : KEY_STEP), 1);
      this.#pointAt(row);
    }
  }

  #keyUp(event) {
    if (!this.#isKey || (event.key !== " " && event.key !== "Enter")) return;
    event.preventDefault();
    this.#letGo();
  }

  #aimByKey(row) {
    this.#isKey = true;
    this.#target = row;
    this.#since = performance.now();
    this.#at = { x: 0.5, y: 0.5 };
    row.element.classList.add("aimed");
    this.#pointAt(row);
    this.#show();
  }

  #pointAt(row) {
    const box = row.bubble.getBoundingClientRect();
    this.#pointer = { x: box.left + this.#at.x * box.width, y: box.top + this.#at.y * box.height };
  }

  #letGo() {
    const [row, word, strength] = [this.#target, this.word, Math.round(this.#strength() * 100) / 100];
    const { x, y } = this.#at;
    this.pick(null);
    this.thrown(row, { word, x: round(x), y: round(y), strength });
  }

  #cancel() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#ghost?.remove();
    this.#ghost = null;
    this.#target?.element.classList.remove("aimed");
    this.#target = null;
    this.#isKey = false;
  }
}

const part = (distance, whole) => Math.min(1, Math.max(0, distance / whole));
const round = (number) => Math.round(number * 1000) / 1000;

function stop(event) {
  event.preventDefault();
  event.stopPropagation();
}

/** Return the row whose message an element belongs to, if it can be stamped. */
function rowAt(element) {
  const row = element?.closest?.(".bubble")?.closest(".row")?.row;
  return row?.canBeStamped ? row : null;
}
