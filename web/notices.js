// What the page says beside the conversation: a quiet line at the top, a short note, and words for a screen reader.

import { h } from "./dom.js";

const NOTE_MS = 7000;
const KEPT = 5;

const place = document.getElementById("notices");
const announcer = document.getElementById("announcer");
const banner = h("p", { class: "banner", role: "status", hidden: true });
const notes = h("div", { class: "notes" });
place.append(banner);
document.body.append(notes);

/** Speak from a dialog while it is open: what is outside of it is neither seen nor heard. */
export function standIn(dialog) {
  (dialog ?? document.body).append(notes, announcer);
}

/** Say something for as long as it holds; nothing takes it away. */
export function setBanner(text) {
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = !text;
}

/** Say something once. */
export function note(text) {
  const shown = h("p", { class: "note" }, text);
  notes.replaceChildren(shown);
  announce(text);
  setTimeout(() => shown.remove(), NOTE_MS);
}

/** Say what went wrong; whatever is no failure of a call is a fault of ours, and is told as one. */
export function noteFailure(failure) {
  note(failure.code ? failure.message : "Something went wrong on this page.");
  if (!failure.code) console.error(failure);
}

/** Let a screen reader say something, once and after what it is saying. */
export function announce(text) {
  announcer.append(h("p", { dir: "auto" }, text));
  while (announcer.childElementCount > KEPT) announcer.firstChild.remove();
}
