// The first screen: say who you are.

import { h } from "./dom.js";
import { load, save } from "./storage.js";

/** Show it in `place`; `why` says why one is here again. */
export function showLogin(place, session, config, why) {
  const wrong = h("p", { class: "wrong", role: "alert" });
  const act = async (work, button) => {
    wrong.textContent = "";
    button.disabled = true;
    try {
      await work();
    } catch (failure) {
      wrong.textContent = failure.message;
    } finally {
      button.disabled = false;
    }
  };
  const ways = [];
  if (config.logins.includes("dev")) ways.push(byName(session, act));
  if (config.logins.includes("google")) ways.push(byGoogle(session, config, act));
  const heading = h("h1", { tabindex: "-1" }, "StampChat");
  place.replaceChildren(
    h("main", { class: "login" },
      h("div", { class: "card" }, h("div", { class: "sign", "aria-hidden": "true" }, h("span", { class: "stamp ink-0" }, "Hello!")), heading, h("p", { class: "lead" }, location.hash.startsWith("#/join/") ? "You were invited to a room. Say who you are, and come in." : "Say something. Stamp something."), why && h("p", { class: "why", role: "status" }, why), ...ways, wrong)));
  (place.querySelector("[data-focus]") ?? heading).focus();
}

function byName(session, act) {
  const name = h("input", { id: "name", name: "name", required: true, maxlength: 100, autocomplete: "nickname", dir: "auto", "data-focus": true });
  name.value = load("name", "");
  const button = h("button", { type: "submit", class: "primary" }, "Come in");
  const enter = async () => {
    const word = name.value.trim();
    if (!word) return;
    await session.login("dev", word);
    save("name", word);
  };
  return h("form", { onsubmit: (event) => (event.preventDefault(), act(enter, button)) }, h("label", { for: "name" }, "Your name"), h("div", { class: "field" }, name, button));
}

function byGoogle(session, config, act) {
  // Nothing of Google is asked for before somebody wants it.
  const go = async () => (await import("./google.js")).begin(config.firebase);
  const button = h("button", { type: "button", class: "google", onclick: () => act(go, button) }, "Sign in with Google");
  return button;
}

