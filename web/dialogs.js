// The dialogs, made when they are asked for: the browser's own, which keep the focus in and give it back.

import { h, icon, ICONS, said, squares } from "./dom.js";
import { note } from "./notices.js";
import { inkOf } from "./stamp.js";

let count = 0;

/** Open a dialog with a heading; resolves with the value that it was closed with, "" when it was given up. */
function open(heading, make) {
  const id = `dialog-${++count}`;
  const dialog = h("dialog", { "aria-labelledby": id });
  const before = document.activeElement;
  const close = (value = "") => dialog.close(value);
  const shut = h("button", { type: "button", class: "shut", "aria-label": "Close", onclick: () => close() }, "×");
  dialog.append(h("div", { class: "dialog-head" }, h("h2", { id }, heading), shut), ...make(close));
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("click", (event) => event.target === dialog && close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (before?.isConnected) before.focus({ preventScroll: true });
      resolve(dialog.returnValue);
    });
    dialog.showModal();
    dialog.querySelector("[data-focus]")?.focus();
  });
}

/** Ask before what cannot be taken back. */
export async function confirm(heading, text, yes) {
  return "yes" === (await open(heading, (close) => [
    h("p", {}, text),
    h("div", { class: "buttons" }, h("button", { type: "button", "data-focus": true, onclick: () => close() }, "Cancel"), h("button", { type: "button", class: "danger", onclick: () => close("yes") }, yes)),
  ]));
}

/** Make a room, or come into one by its invitation; returns it, or nothing. */
export async function newRoom(rooms) {
  let made = null;
  await open("A new room", (close) => {
    const act = async (event, work) => {
      event.preventDefault();
      const button = event.submitter ?? event.target.querySelector("button");
      button.disabled = true;
      try {
        made = await work();
        close();
      } catch (failure) {
        wrong.textContent = failure.message;
      } finally {
        button.disabled = false;
      }
    };
    const name = h("input", { id: "room-name", required: true, maxlength: 200, autocomplete: "off", "data-focus": true, dir: "auto" });
    const link = h("input", { id: "room-link", required: true, autocomplete: "off", inputmode: "url" });
    const wrong = h("p", { class: "wrong", role: "alert" });
    return [
      h("form", { onsubmit: (event) => act(event, () => rooms.create(name.value.trim())) }, h("label", { for: "room-name" }, "What is it called?"), h("div", { class: "field" }, name, h("button", { type: "submit", class: "primary" }, "Make it"))),
      h("form", { onsubmit: (event) => act(event, () => rooms.join(topicOf(link.value))) }, h("label", { for: "room-link" }, "Or were you invited? Put the link here."), h("div", { class: "field" }, link, h("button", { type: "submit" }, "Come in"))),
      wrong,
    ];
  });
  return made;
}

/** Return the link by which anybody may come into a room. What is behind the # is never sent to a server. */
export const invitation = (topic) => `${location.origin}/#/join/${encodeURIComponent(topic)}`;

function topicOf(text) {
  const last = text.trim().split("/").at(-1);
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

export async function invite(room) {
  const link = invitation(room.topic);
  const place = h("div", { class: "qr" });
  drawCode(place, link);
  await open("Invite people", () => {
    const field = h("input", { id: "invite-link", readonly: true, value: link, "data-focus": true, onfocus: () => field.select() });
    const copy = h("button", { type: "button", class: "primary", onclick: () => copyText(field) }, "Copy");
    const share = navigator.share && h("button", { type: "button", onclick: () => navigator.share({ url: link }).catch(() => {}) }, "Share");
    return [
      h("p", {}, "Whoever has this link can come into ", said(room.name, "bdi", { class: "strong" }), "."),
      place,
      h("label", { for: "invite-link" }, "Link"),
      h("div", { class: "field" }, field, copy, share),
    ];
  });
}

async function drawCode(place, link) {
  try {
    // Few invite, so what draws it comes only then.
    const { generate } = await import("lean-qr");
    const code = generate(link);
    place.append(squares(code.size, (x, y) => code.get(x, y), "QR code of the link below"));
  } catch {
    place.append(h("p", {}, "The QR code could not be drawn; the link below says the same."));
  }
}

async function copyText(field) {
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    // Pages without https have no clipboard but this one.
    field.select();
    document.execCommand("copy");
  }
  note("The link is copied.");
}

export function people(room) {
  const one = (member) => h("li", {}, h("span", { class: `face ink-${inkOf(member.id)}`, "aria-hidden": "true" }, initial(member.name)), said(member.name), member.id === room.owner && h("span", { class: "role" }, "owner"), member.id === room.me && h("span", { class: "role" }, "you"));
  const all = [...room.members.values()].sort((a, b) => a.name.localeCompare(b.name));
  const here = all.filter((member) => room.present.has(member.id));
  const others = all.filter((member) => !room.present.has(member.id));
  return open("People", () => [
    h("h3", {}, `Here now: ${here.length}`),
    h("ul", { class: "people" }, here.map(one)),
    others.length ? h("h3", {}, "Not here, or gone") : null,
    others.length ? h("ul", { class: "people" }, others.map(one)) : null,
  ].filter(Boolean));
}

export const initial = (name) => [...name.trim()][0]?.toLocaleUpperCase() ?? "?";

/** Show whose account this is; returns "out" or "delete" when that is wanted. */
export const account = (user) =>
  open("Your account", (close) => [
    h("p", {}, "You are ", said(user.name ?? "somebody without a name", "bdi", { class: "strong" }), "."),
    h("p", { class: "small" }, h("a", { href: document.querySelector("link[rel=license]").href, target: "_blank" }, "What this page is made with")),
    h("div", { class: "buttons" }, h("button", { type: "button", class: "danger", onclick: () => close("delete") }, "Delete account"), h("button", { type: "button", "data-focus": true, onclick: () => close("out") }, icon(...ICONS.out), "Log out")),
  ]);

