// Where one writes: Enter sends, Shift and Enter makes a line. It also takes the text of a message that is changed.

import { h, icon, ICONS } from "./dom.js";
import { load, save } from "./storage.js";

export const MOST = 10_000;
const COUNT_FROM = 9000;
const DONE_TYPING_MS = 4000;

export class Composer {
  #editing = null;
  #kept = "";
  #timer = 0;

  /** `say(text)`, `edit(message, text)`, `typing(is)`, `editLast()` and `left()` when a change is given up. */
  constructor(room, actions) {
    Object.assign(this, { room, actions });
    this.text = h("textarea", {
      rows: 1,
      dir: "auto",
      "aria-label": "Message",
      placeholder: "Write a message",
      enterkeyhint: "send",
      oninput: () => this.#wrote(),
      onkeydown: (event) => this.#key(event),
      onblur: () => this.actions.typing(false),
    });
    this.count = h("p", { class: "count", role: "status" });
    this.what = h("p", { class: "editing", hidden: true }, "You are changing a message. ", h("button", { type: "button", onclick: () => this.stopEditing() }, "Leave it as it was"));
    this.button = h("button", { type: "submit", class: "send", title: "Send" }, icon(...ICONS.send), h("span", { class: "sr" }, "Send"));
    this.element = h("form", { class: "composer", onsubmit: (event) => (event.preventDefault(), this.#send()) }, this.what, h("div", { class: "line" }, this.text, this.button), this.count);
    this.text.value = load("drafts", {})[room.id] ?? "";
    this.#measure();
  }

  focus() {
    this.text.focus();
  }

  fit() {
    this.#grow();
  }

  edit(message, text = message.body) {
    if (!this.#editing) this.#kept = this.text.value;
    this.#editing = message;
    this.what.hidden = false;
    this.text.value = text;
    this.#measure();
    this.focus();
    this.text.setSelectionRange(text.length, text.length);
  }

  stopEditing() {
    const message = this.#editing;
    if (!message) return;
    this.#editing = null;
    this.what.hidden = true;
    this.text.value = this.#kept;
    this.#measure();
    this.actions.left(message);
  }

  #key(event) {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#send();
    } else if (event.key === "Escape" && this.#editing) {
      event.preventDefault();
      this.stopEditing();
    } else if (event.key === "ArrowUp" && !this.text.value && this.actions.editLast()) {
      event.preventDefault();
    }
  }

  #wrote() {
    this.#measure();
    if (!this.#editing) this.#keep();
    clearTimeout(this.#timer);
    const writes = this.text.value.trim() !== "" && !this.#editing;
    this.actions.typing(writes);
    if (writes) this.#timer = setTimeout(() => this.actions.typing(false), DONE_TYPING_MS);
  }

  #send() {
    const text = this.text.value.trim();
    if (!text || length(text) > MOST) return;
    clearTimeout(this.#timer);
    const message = this.#editing;
    if (message) {
      this.stopEditing();
      if (text !== message.body) this.actions.edit(message, text);
    } else {
      this.text.value = "";
      this.#keep();
      this.#measure();
      this.actions.say(text);
    }
  }

  /** A room that one leaves for another keeps what one was about to say. */
  #keep() {
    const { [this.room.id]: _, ...others } = load("drafts", {});
    const text = this.text.value;
    save("drafts", text ? { ...others, [this.room.id]: text } : others);
  }

  #measure() {
    const count = length(this.text.value.trim());
    const over = count - MOST;
    const told = count <= COUNT_FROM ? "" : over > 0 ? `${over.toLocaleString()} characters too many; a message has at most ${MOST.toLocaleString()}.` : `${(-over).toLocaleString()} characters left`;
    if (this.count.textContent !== told) this.count.textContent = told;
    this.count.classList.toggle("over", over > 0);
    this.button.disabled = count === 0 || over > 0;
    this.#grow();
  }

  #grow() {
    // What the text needs is known only once the box is small; a style sheet caps it.
    this.text.style.height = "auto";
    this.text.style.height = `${this.text.scrollHeight + 2}px`;
  }
}

/** Count as the service does: code points, not halves of them. */
const length = (text) => (text.length > MOST * 2 ? text.length : [...text].length);
