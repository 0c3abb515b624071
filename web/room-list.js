// The list of rooms: name, last message, time, and how much is unread.

import { h, icon, ICONS, said } from "./dom.js";
import { initial } from "./dialogs.js";
import { inkOf } from "./stamp.js";
import { briefly } from "./time.js";

const MOST_NAME = 16;

export class RoomList {
  #items = new Map();
  #frame = 0;

  constructor(rooms, session, { create, account }) {
    Object.assign(this, { rooms, session });
    this.open = null;
    this.list = h("ul", { class: "room-list" });
    this.empty = h("p", { class: "empty" });
    this.heading = h("h2", { tabindex: "-1" }, "Rooms");
    this.make = h("button", { type: "button", class: "tool", title: "New room", onclick: create }, icon(...ICONS.plus), h("span", { class: "label" }, "New room"));
    this.me = h("button", { type: "button", class: "me", title: "Your account", onclick: account }, h("span", { class: "face", "aria-hidden": "true" }, initial(session.user.name ?? "")), said(session.user.name ?? "You"));
    this.element = h("nav", { class: "side", "aria-label": "Rooms" }, h("header", { class: "head-bar" }, h("div", { class: "titles" }, this.heading), this.make), this.empty, this.list, h("footer", {}, this.me));
    this.off = rooms.on("changed", () => this.draw());
    this.draw();
  }

  close() {
    this.off();
    cancelAnimationFrame(this.#frame);
  }

  /** Put the focus on the room that one comes from, or on the heading. */
  focus(room) {
    const item = room && this.#items.get(room.id);
    if (item) item.link.focus();
    else this.heading.focus({ preventScroll: true });
  }

  /** Mark the room that is open. */
  mark(room) {
    this.open = room?.id ?? null;
    this.draw();
  }

  draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw() {
    const all = this.rooms.all;
    this.empty.textContent = all.length ? "" : this.rooms.isLoaded ? "No rooms yet. Make one and invite somebody." : "Loading…";
    this.empty.hidden = all.length > 0;
    for (const [id, item] of this.#items) {
      if (this.rooms.get(id)) continue;
      item.element.remove();
      this.#items.delete(id);
    }
    let place = null;
    for (const room of all) {
      const item = this.#items.get(room.id) ?? this.#make(room);
      this.#show(item, room);
      const fits = place ? place.nextSibling === item.element : this.list.firstChild === item.element;
      if (!fits) this.#move(item.element, place);
      place = item.element;
    }
  }

  /** Moving an element takes the focus from it. */
  #move(element, place) {
    const focused = element.contains(document.activeElement) ? document.activeElement : null;
    if (place) place.after(element);
    else this.list.prepend(element);
    focused?.focus({ preventScroll: true });
  }

  #make(room) {
    const item = {
      name: said("", "span", { class: "room-name" }),
      time: h("time", {}),
      last: h("span", { class: "room-last" }),
      unread: h("span", { class: "unread" }),
    };
    item.link = h("a", { href: `#/room/${room.id}` }, h("span", { class: `face ink-${inkOf(room.id)}`, "aria-hidden": "true" }, initial(room.name)), h("span", { class: "room-top" }, item.name, item.time), h("span", { class: "room-bottom" }, item.last, item.unread));
    item.element = h("li", {}, item.link);
    this.#items.set(room.id, item);
    return item;
  }

  #show(item, room) {
    const { last } = room;
    item.name.textContent = room.name;
    item.time.textContent = last ? briefly(last.inserted_at) : "";
    item.last.replaceChildren(...lastLine(room));
    const count = room.unread > 98 ? "99+" : String(room.unread || "");
    item.unread.replaceChildren(...(count ? [count, h("span", { class: "sr" }, " unread")] : []));
    item.unread.hidden = !count;
    item.element.classList.toggle("has-unread", Boolean(count));
    if (room.id === this.open) item.link.setAttribute("aria-current", "page");
    else item.link.removeAttribute("aria-current");
  }
}

function lastLine(room) {
  const { last } = room;
  if (!last) return [];
  if (last.deleted) return ["A message was deleted"];
  const body = said(last.body.slice(0, 120));
  if (last.type !== "chat") return [body];
  const name = [...room.nameOf(last.member_id)];
  // A long name leaves room for what was said.
  return [room.isMine(last) ? "You" : said(name.length > MOST_NAME ? `${name.slice(0, MOST_NAME).join("")}…` : name.join("")), ": ", body];
}
