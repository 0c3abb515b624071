// The one socket of this tab, and whether it is open. Phoenix's client opens it again; we say why it cannot.

import { Socket } from "phoenix";
import { Emitter } from "./emitter.js";

const GIVE_UP = { "account deleted": "This account was deleted.", "session over": "Your session is over, so please log in again." };
const POLICY = 1008;
// After a restart everybody comes back: not all in the same moment.
const WAITS = [150, 400, 1000, 2000, 4000];
const wait = (tries) => (WAITS[tries - 1] ?? 5000) * (0.6 + 0.8 * Math.random());

/** Emits "changed" when it opens or closes. */
export class Connection extends Emitter {
  isOnline = false;
  #failures = 0;

  constructor(session) {
    super();
    this.session = session;
    this.socket = new Socket("/chat/socket", {
      authToken: () => session.token,
      heartbeatIntervalMs: 25_000,
      reconnectAfterMs: wait,
      rejoinAfterMs: wait,
    });
    this.socket.onOpen(() => this.#opened());
    this.socket.onClose((event) => this.#closed(event));
    this.off = [
      session.on("renewed", (token) => this.#renewed(token)),
      on("offline", () => this.#drop()),
      on("online", () => this.socket.connect()),
    ];
  }

  open() {
    this.socket.connect();
  }

  close() {
    for (const off of this.off) off();
    this.socket.disconnect();
    this.#set(false);
  }

  #opened() {
    this.#failures = 0;
    this.#set(true);
  }

  #closed(event) {
    this.#set(false);
    if (event?.code === POLICY && GIVE_UP[event.reason]) {
      this.session.end(GIVE_UP[event.reason]);
      return;
    }
    this.#failures += 1;
    // A refused handshake tells a page nothing, so the token is asked about where an answer can be read.
    if (this.#failures % 3 === 2) this.session.renew().catch(() => {});
  }

  /** The network says that it is gone: no need to wait for a heartbeat to find out. */
  #drop() {
    this.socket.disconnect();
    this.#set(false);
  }

  #renewed(token) {
    if (!this.isOnline) return;
    const { socket } = this;
    socket.push({ topic: "phoenix", event: "access_token", payload: { access_token: token }, ref: socket.makeRef() });
  }

  #set(isOnline) {
    if (this.isOnline === isOnline) return;
    this.isOnline = isOnline;
    this.emit("changed");
  }
}

function on(name, listener) {
  addEventListener(name, listener);
  return () => removeEventListener(name, listener);
}
