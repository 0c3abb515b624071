// The words that lie ready: some to begin with, and those that one has used.

import { h, icon, ICONS, said } from "./dom.js";
import { load, save } from "./storage.js";

const FIRST = ["Yes!", "LOL", "Wow", "Same", "Love it", "Nope", "Done", "???"];
const MOST = 16;
const LONGEST = 60;

export class Tray {
  #words = [];
  #picked = null;

  /** `pick(word or null)` takes a word in the hand, `drag(event, word)` lets it be dragged. */
  constructor({ pick, drag }) {
    Object.assign(this, { pick, drag });
    const own = load("words", []);
    this.#words = [...new Set([...(Array.isArray(own) ? own.filter((word) => typeof word === "string") : []), ...FIRST])].slice(0, MOST);
    this.input = h("input", { type: "text", maxlength: LONGEST, placeholder: "Your own word", "aria-label": "Your own word", autocomplete: "off", enterkeyhint: "done" });
    this.form = h("form", { class: "own", onsubmit: (event) => this.#own(event) }, this.input, h("button", { type: "submit", class: "add", title: "Take this word" }, icon(...ICONS.plus), h("span", { class: "sr" }, "Take this word")));
    this.words = h("div", { class: "words", role: "group", "aria-label": "Stamps" }, this.form);
    this.hint = h("p", { class: "hint", id: "tray-hint" });
    this.element = h("div", { class: "tray" }, h("span", { class: "tray-icon" }, icon(...ICONS.stamp)), this.words, this.hint);
    this.#draw();
  }

  /** Show which word is in the hand. */
  show(word) {
    this.#picked = word;
    this.element.classList.toggle("holding", word !== null);
    this.hint.textContent = word === null ? "" : "Press a message, hold for more strength, let go. Esc puts it back.";
    for (const button of this.words.querySelectorAll(".word")) button.setAttribute("aria-pressed", String(button.word === word));
  }

  focus() {
    (this.words.querySelector("[aria-pressed=true]") ?? this.words.querySelector(".word")).focus();
  }

  /** Put a word that was used first. */
  used(word) {
    this.#words = [word, ...this.#words.filter((each) => each !== word)].slice(0, MOST);
    save("words", this.#words);
  }

  #draw() {
    for (const button of this.words.querySelectorAll(".word")) button.remove();
    // The field stays where it is: taken out and put back it would lose the focus.
    this.form.before(...this.#words.map((word) => this.#button(word)));
    this.show(this.#picked);
  }

  #button(word) {
    const button = h("button", {
      type: "button",
      class: "word",
      "aria-pressed": "false",
      onpointerdown: (event) => this.drag(event, word),
      onclick: () => this.pick(word === this.#picked ? null : word),
    }, said(word));
    button.word = word;
    return button;
  }

  #own(event) {
    event.preventDefault();
    const word = this.input.value.trim();
    if (!word) return;
    this.input.value = "";
    this.used(word);
    this.#draw();
    this.pick(word);
  }
}
