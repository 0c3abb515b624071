// Who we are: log in, keep the token fresh, and agree about both with the other tabs.

import { call } from "./api.js";
import { Emitter } from "./emitter.js";
import { load, save, watch } from "./storage.js";

const OVER = {
  user_gone: "This account was deleted.",
  unknown_user: "This account was deleted.",
  token_expired: "You were away for a long time, so please log in again.",
  session_over: "Your session is over, so please log in again.",
};
// Of a token's life: renewed in the middle, a failure or a long sleep leaves as much again.
const RENEW_AFTER = 0.5;
const LOOK_EVERY = 30_000;

/** Emits "changed" when somebody has logged in or out, with the sentence that says why, and "renewed" for a new token. */
export class Session extends Emitter {
  #kept = load("session");
  #renewal = null;

  constructor() {
    super();
    watch("session", () => this.#adopt(load("session"), ""));
    setInterval(() => this.renewIfOld(), LOOK_EVERY);
    for (const name of ["online", "focus", "pageshow"]) addEventListener(name, () => this.renewIfOld());
  }

  get user() {
    return this.#kept?.user ?? null;
  }

  get token() {
    return this.#kept?.token ?? "";
  }

  async login(provider, proof) {
    const { token, ...user } = await call("POST", "/auth/login", { body: { authProvider: provider, token: proof } });
    this.#keep({ user, token, at: Date.now() });
    this.emit("changed", "");
  }

  /** Forget who we are, and say why. */
  end(why = "") {
    if (!this.#kept) return;
    save("session", null);
    this.#adopt(null, why);
  }

  /** Call a service in our name. An expired token is renewed once; where that is refused the session ends. */
  async call(method, path, body) {
    const token = this.token;
    try {
      return await call(method, path, { body, token });
    } catch (failure) {
      if (failure.status !== 401) throw failure;
      if (failure.code === "unknown_user") this.end(OVER.unknown_user);
      // Another tab, or another call, may have renewed it meanwhile.
      else if (token === this.token) await this.renew();
      if (!this.token || token === this.token) throw failure;
      return call(method, path, { body, token: this.token });
    }
  }

  /** Renew the token; several who ask at once are answered by one call. */
  renew() {
    this.#renewal ??= this.#renew().finally(() => (this.#renewal = null));
    return this.#renewal;
  }

  renewIfOld() {
    if (!this.#kept) return;
    // By this device's own clock from start to end, so it does not matter whether that is right; set back, it is old.
    const age = Date.now() - this.#kept.at;
    if (age < 0 || age > lifetime(this.token) * RENEW_AFTER) this.renew().catch(() => {});
  }

  async #renew() {
    const token = this.token;
    try {
      const renewed = await call("POST", "/auth/refresh", { token });
      if (this.token === token) this.#keep({ ...this.#kept, token: renewed.token, at: Date.now() });
    } catch (failure) {
      if (failure.status === 401 && this.token === token) this.end(OVER[failure.code] ?? OVER.session_over);
      throw failure;
    }
  }

  #keep(kept) {
    const renewed = this.#kept?.user.identity === kept.user.identity;
    this.#kept = kept;
    save("session", kept);
    if (renewed) this.emit("renewed", kept.token);
  }

  #adopt(kept, why) {
    const before = this.#kept?.user.identity;
    this.#kept = kept;
    if (kept?.user.identity !== before) this.emit("changed", why);
    else if (kept) this.emit("renewed", kept.token);
  }
}

/** Return how long a token lasts, in milliseconds; what it says of itself is only for guessing when to renew it. */
function lifetime(token) {
  try {
    const claims = JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
    return (claims.exp - claims.iat) * 1000;
  } catch {
    return 0;
  }
}

