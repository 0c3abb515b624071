// One room as it is seen: its head, the conversation, the tray of stamps, and where one writes.

import { Composer } from "./composer.js";
import { confirm, invite, report } from "./dialogs.js";
import { h, icon, ICONS, said } from "./dom.js";
import { MessageList } from "./message-list.js";
import { announce, noteFailure } from "./notices.js";
import { people } from "./people.js";
import { Throwing } from "./throwing.js";
import { Tray } from "./tray.js";

const READ_MS = 300;
const SAID_LENGTH = 300;

export class RoomView {
  #offs = [];
  #reading = 0;
  #active = null;

  /** `left()` is called when one goes back to the list. */
  constructor(room, rooms, { back, leave }) {
    Object.assign(this, { room, rooms, back, leave });
    this.list = new MessageList(room, rooms, {
      sendAgain: (item) => this.#sendAgain(item),
      discard: (item) => (rooms.outbox.done(item.id), this.composer.focus()),
      atEnd: () => this.#readSoon(),
      focusLost: () => this.composer.focus(),
    });
    this.composer = new Composer(room, {
      say: (text) => this.#say(text),
      edit: (message, body) => this.#edit(message, body),
      typing: (isTyping) => this.line.typing(isTyping),
      editLast: () => this.#editLast(),
      left: (message) => this.#focusMessage(message),
    });
    this.tray = new Tray({ pick: (word) => this.#pick(word), drag: (event, word) => this.throwing.drag(event, word) });
    this.throwing = new Throwing(room, this.list, {
      changed: (word) => this.tray.show(word),
      thrown: (row, stamp) => this.#throw(row, stamp),
    });
    this.#makeActions();
    this.element = h("main", { class: "room", "aria-labelledby": "room-heading" }, this.#head(), this.list.element, this.tray.element, this.composer.element);
    this.element.addEventListener("keydown", (event) => this.#escape(event));
    this.#listen();
    this.#showPeople();
  }

  /** The line to the room; it is another one after the invitation was renewed. */
  get line() {
    return this.rooms.line(this.room);
  }

  /** Put the focus where one goes on: to the text, or where a keyboard would cover the screen, to the heading. */
  focus() {
    this.composer.fit();
    if (matchMedia("(hover: hover)").matches) this.composer.focus();
    else this.heading.focus({ preventScroll: true });
    this.#readSoon();
  }

  close() {
    for (const off of this.#offs) off();
    clearTimeout(this.#reading);
    this.line.typing(false);
    this.throwing.close();
    this.list.close();
  }

  #head() {
    this.heading = said(this.room.name, "h1", { id: "room-heading", tabindex: "-1" });
    this.about = h("p", { class: "about" });
    const button = (label, name, act) => h("button", { type: "button", class: "tool", title: label, onclick: act }, icon(...ICONS[name]), h("span", { class: "label" }, label));
    return h("header", { class: "head-bar" },
      h("button", { type: "button", class: "tool back", title: "All rooms", onclick: () => this.back() }, icon(...ICONS.back), h("span", { class: "sr" }, "All rooms")),
      h("div", { class: "titles" }, this.heading, this.about),
      button("People", "people", () => people(this.room, this.rooms)),
      button("Invite", "invite", () => invite(this.room, this.rooms)),
      button("Leave", "leave", () => this.leave(this.room)));
  }

  #listen() {
    const { room } = this;
    const seen = () => document.visibilityState === "visible" && this.#readSoon();
    document.addEventListener("visibilitychange", seen);
    addEventListener("focus", seen);
    this.#offs.push(
      () => document.removeEventListener("visibilitychange", seen),
      () => removeEventListener("focus", seen),
      room.on("people", () => this.#showPeople()),
      room.on("changed", () => (this.heading.textContent = room.name)),
      room.on("said", (message) => this.#heard(message)),
      room.on("joined", () => (this.#readSoon(), this.#showPeople())),
    );
  }

  #heard(message) {
    this.#readSoon();
    if (this.room.isMine(message) || document.visibilityState !== "visible") return;
    const words = message.body.slice(0, SAID_LENGTH);
    announce(message.type === "chat" ? `${this.room.nameOf(message.member_id)}: ${words}` : words);
  }

  #showPeople() {
    const { room } = this;
    const typing = room.typing;
    const names = (list) => list.slice(0, 3).flatMap((name, at) => [at ? ", " : "", said(name)]);
    if (typing.length) {
      this.about.replaceChildren(...names(typing), typing.length === 1 ? " is typing…" : " are typing…");
      this.about.classList.add("typing");
      return;
    }
    this.about.classList.remove("typing");
    const others = [...room.present].filter((id) => id !== room.me).map((id) => room.nameOf(id));
    if (!this.line.isOpen || !others.length) this.about.textContent = this.line.isOpen ? "Nobody else here" : "";
    else this.about.replaceChildren(h("span", { class: "dot", "aria-hidden": "true" }), ...names(others), others.length > 3 ? ` and ${others.length - 3} more are here` : others.length === 1 ? " is here" : " are here");
  }

  /** Tell how far we have read, while the end of the conversation is in sight. */
  #readSoon() {
    clearTimeout(this.#reading);
    this.#reading = setTimeout(() => {
      const { room } = this;
      const last = room.messages.at(-1)?.id ?? 0;
      if (document.visibilityState !== "visible" || !this.list.follows || last <= room.lastRead || !this.line.isOpen) return;
      this.line.read(last);
      room.read(room.me, last);
      this.list.draw();
    }, READ_MS);
  }

  #say(text) {
    this.rooms.say(this.room, { body: text });
    this.line.typing(false);
    this.list.toEnd();
    this.list.newAfter = Infinity;
    this.composer.focus();
  }

  #sendAgain(item) {
    this.rooms.outbox.refuse(item.id, "");
    this.line.send({ ...item, why: "" });
    this.composer.focus();
  }

  async #edit(message, body) {
    try {
      await this.line.ask("edit", { message_id: message.id, message: body });
    } catch (failure) {
      noteFailure(failure);
      // What was written is not lost with the attempt.
      if (!this.room.get(message.id)?.deleted) this.composer.edit(message, body);
    }
  }

  #editLast() {
    const last = this.room.messages.findLast((message) => this.room.mayEdit(message));
    if (last) this.composer.edit(last);
    return Boolean(last);
  }

  async #remove(message) {
    const row = this.list.rows.find((each) => each.message === message);
    if (!(await confirm("Delete this message?", "It is deleted for everybody, with its stamps.", "Delete"))) return;
    row?.element.focus({ preventScroll: true });
    await this.line.ask("delete", { message_id: message.id }).catch(noteFailure);
  }

  #pick(word) {
    this.throwing.pick(word);
    if (word === null) return;
    this.tray.used(word);
    const isKey = document.activeElement?.matches(":focus-visible");
    if (!isKey) return;
    // By keys one goes on in the conversation, at the message that was meant or at the last one.
    const row = this.#aimed ?? this.list.rows.findLast((each) => each.canBeStamped);
    this.#aimed = null;
    row?.element.focus();
    announce(`${word} in hand. Arrow keys choose a message; hold Space and let go to stamp it; Escape puts it back.`);
  }

  #aimed = null;
  #landed = null;

  #throw(row, stamp) {
    if (!row?.message.id) return;
    // One sees it land: the buttons, and what they uncover, wait until one points at something else.
    this.#deactivate();
    this.#landed = row;
    announce(`Thrown: ${stamp.word}, at ${Math.round(stamp.strength * 100)} percent.`);
    this.rooms.say(this.room, { stamp: { messageId: row.message.id, ...stamp } });
  }

  #focusMessage(message) {
    const row = this.list.rows.find((each) => each.message.id === message.id);
    if (row) row.element.focus();
    else this.composer.focus();
  }

  #escape(event) {
    if (event.key === "Escape" && !event.defaultPrevented) this.composer.focus();
  }

  /** Make the one toolbar, which goes to the row that one points at or stands on. */
  #makeActions() {
    const button = (label, name, act) => h("button", { type: "button", title: label, onclick: () => act(this.#active) }, icon(...ICONS[name]), h("span", { class: "sr" }, label));
    this.buttons = {
      stamp: button("Stamp it", "stamp", (row) => ((this.#aimed = row), this.tray.focus())),
      edit: button("Change", "edit", (row) => this.composer.edit(row.message)),
      remove: button("Delete", "remove", (row) => this.#remove(row.message)),
      report: button("Report", "report", (row) => report(this.rooms, "Report this message", { message_id: row.message.id })),
    };
    this.actions = h("div", { class: "actions", role: "group", "aria-label": "This message" }, ...Object.values(this.buttons));
    const { list } = this.list;
    const activate = (event) => this.#activate(event.target.closest(".row")?.row);
    list.addEventListener("pointerover", (event) => event.pointerType === "mouse" && !this.actions.contains(document.activeElement) && activate(event));
    list.addEventListener("pointerleave", () => this.actions.contains(document.activeElement) || this.#deactivate());
    list.addEventListener("focusin", (event) => (this.#stand(event.target.closest(".row")), activate(event)));
    list.addEventListener("click", activate);
    list.addEventListener("keydown", (event) => this.#walk(event));
  }

  #deactivate() {
    this.actions.remove();
    this.#active = null;
  }

  #activate(row) {
    if (!row || row === this.#landed || this.throwing.word !== null) return;
    this.#landed = null;
    if (row === this.#active && this.actions.parentElement === row.element) return;
    this.#active = row;
    if (row.waits || row.message.type !== "chat") {
      this.actions.remove();
      return;
    }
    this.buttons.stamp.hidden = !row.canBeStamped;
    this.buttons.edit.hidden = !this.room.mayEdit(row.message);
    this.buttons.remove.hidden = !this.room.mayDelete(row.message);
    this.buttons.report.hidden = row.message.deleted || this.room.isMine(row.message);
    if (Object.values(this.buttons).every((each) => each.hidden)) this.actions.remove();
    else row.element.append(this.actions);
  }

  /** One row at a time is reached by Tab: the one on which one stood last. */
  #stand(element) {
    for (const row of this.list.rows) if (row.element !== element && row.element.tabIndex === 0) row.element.tabIndex = -1;
    if (element?.row) element.tabIndex = 0;
  }

  #walk(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const row = event.target.row;
    if (!row || !step) return;
    event.preventDefault();
    const next = this.list.neighbour(row, step);
    if (next) {
      next.element.focus({ preventScroll: true });
      next.element.scrollIntoView({ block: "nearest" });
    } else if (step > 0) this.composer.focus();
  }
}
