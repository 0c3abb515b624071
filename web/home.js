// Everything behind the login: the rooms beside the one that is open, and what the address bar says about it.

import { call, clock, Failure } from "./api.js";
import { Connection } from "./connection.js";
import { account, confirm, newRoom } from "./dialogs.js";
import { h } from "./dom.js";
import { note, noteFailure, setBanner } from "./notices.js";
import { Outbox } from "./outbox.js";
import { RoomList } from "./room-list.js";
import { RoomView } from "./room-view.js";
import { Rooms } from "./rooms.js";

// A blink of the network is nothing to speak of.
const QUIET_MS = 800;
const CLOCK_OFF_MS = 300_000;
const RETRY_MS = 3000;

export class Home {
  #view = null;
  #quiet = 0;
  #offs = [];
  #retry = 0;

  constructor(place, session) {
    this.session = session;
    this.connection = new Connection(session);
    this.rooms = new Rooms(session, this.connection, new Outbox());
    this.list = new RoomList(this.rooms, session, { create: () => this.#create(), account: () => this.#account() });
    this.stage = h("div", { class: "stage" });
    this.element = h("div", { class: "home" }, this.list.element, this.stage);
    place.replaceChildren(this.element);
    const route = () => this.#route().catch(noteFailure);
    addEventListener("hashchange", route);
    this.#offs.push(
      () => removeEventListener("hashchange", route),
      this.connection.on("changed", () => this.#told()),
      this.rooms.on("gone", (room) => this.#gone(room)),
      this.rooms.on("dropped", note),
      this.rooms.on("changed", () => this.#showTitle()),
    );
    this.#empty();
    this.connection.open();
    this.#told();
    this.#start();
  }

  close() {
    for (const off of this.#offs) off();
    clearTimeout(this.#quiet);
    clearTimeout(this.#retry);
    this.#closeView();
    this.list.close();
    this.rooms.close();
    this.connection.close();
    setBanner("");
    document.title = "StampChat";
  }

  async #start() {
    try {
      await this.rooms.refresh();
      await this.#route();
      if (!this.#view) this.list.focus();
    } catch (failure) {
      if (failure.code !== "offline") noteFailure(failure);
      this.#retry = setTimeout(() => this.#start(), RETRY_MS);
    }
    this.#told();
  }

  async #route() {
    const [, kind, value = ""] = location.hash.split("/");
    if (kind === "join") {
      await this.#join(decodeURIComponent(value));
      return;
    }
    const room = kind === "room" ? this.rooms.get(Number(value)) : null;
    if (kind === "room" && !room && this.rooms.isLoaded) {
      note("You are not in that room.");
      go("");
      return;
    }
    if (room === this.#view?.room) return;
    const from = this.#view?.room;
    if (room) this.#open(room);
    else this.#empty(from);
  }

  async #join(topic) {
    try {
      const room = await this.rooms.join(topic);
      go(`room/${room.id}`, true);
    } catch (failure) {
      if (failure.code === "offline") throw failure;
      note(failure.status === 404 ? "That invitation leads nowhere any more." : failure.message);
      go("", true);
    }
  }

  #open(room) {
    this.#closeView();
    this.#view = new RoomView(room, this.rooms, { back: () => go(""), leave: (left) => this.#leave(left) });
    this.stage.replaceChildren(this.#view.element);
    this.element.classList.add("in-room");
    this.list.mark(room);
    this.#showTitle();
    this.#view.focus();
  }

  #empty(from) {
    this.#closeView();
    this.element.classList.remove("in-room");
    this.stage.replaceChildren(h("main", { class: "nothing" }, h("h1", { class: "sr" }, "StampChat"), h("span", { class: "stamp ink-1", "aria-hidden": "true" }, "Pick a room"), h("p", {}, "Choose a room, or make one and invite somebody.")));
    this.list.mark(null);
    this.#showTitle();
    if (from) this.list.focus(from);
  }

  #closeView() {
    this.#view?.close();
    this.#view = null;
  }

  async #create() {
    const room = await newRoom(this.rooms);
    if (room) go(`room/${room.id}`);
  }

  async #leave(room) {
    if (!(await confirm("Leave this room?", "You no longer see what is said there. Whoever has its invitation can come back.", "Leave"))) return;
    try {
      this.#leaving = room;
      await this.rooms.leave(room);
      go("");
    } catch (failure) {
      noteFailure(failure);
    } finally {
      this.#leaving = null;
    }
  }

  #leaving = null;

  #gone(room) {
    if (room === this.#leaving) return;
    note(`You are no longer in ${room.name}.`);
    if (this.#view?.room === room) go("", true);
  }

  async #account() {
    const wish = await account(this.session.user);
    if (wish === "out") this.session.end("");
    if (wish !== "delete") return;
    if (!(await confirm("Delete your account?", "You leave every room, and all that you said is deleted. This cannot be taken back.", "Delete account"))) return;
    try {
      await call("DELETE", "/auth/account", { token: this.session.token });
      this.session.end("Your account was deleted.");
    } catch (failure) {
      if (failure instanceof Failure && failure.code === "user_gone") this.session.end("Your account was deleted.");
      else noteFailure(failure);
    }
  }

  /** Say, after a moment, that there is no connection; and where there is one, what else is worth knowing. */
  #told() {
    clearTimeout(this.#quiet);
    const isOff = Math.abs(clock.behind) > CLOCK_OFF_MS;
    const calm = isOff ? "This device's clock is wrong; the times shown here are right." : "";
    if (this.connection.isOnline) setBanner(calm);
    else this.#quiet = setTimeout(() => setBanner("No connection just now. What you write and stamp is kept, and sent when it is back."), QUIET_MS);
  }

  #showTitle() {
    const unread = this.rooms.all.reduce((sum, room) => sum + room.unread, 0);
    const name = this.#view ? `${this.#view.room.name} – StampChat` : "StampChat";
    document.title = unread ? `(${unread > 99 ? "99+" : unread}) ${name}` : name;
  }
}

function go(path, replaces = false) {
  const address = path ? `#/${path}` : "#/";
  if (replaces) location.replace(address);
  else location.hash = address;
}
