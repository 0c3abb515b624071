// The dialogs, made when they are asked for: the browser's own, which keep the focus in and give it back.

import { h, icon, ICONS, said, squares } from "./dom.js";
import { note, noteFailure, standIn } from "./notices.js";

let count = 0;

/** Open a dialog with a heading; resolves with the value that it was closed with, "" when it was given up. */
export function open(heading, make) {
  const id = `dialog-${++count}`;
  const dialog = h("dialog", { "aria-labelledby": id });
  const before = document.activeElement;
  const close = (value = "") => dialog.close(value);
  const shut = h("button", { type: "button", class: "shut", "aria-label": "Close", onclick: () => close() }, "×");
  dialog.append(h("div", { class: "dialog-head" }, said(heading, "h2", { id }), shut), ...make(close));
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("click", (event) => event.target === dialog && close());
    dialog.addEventListener("close", () => {
      standIn([...document.querySelectorAll("dialog")].filter((each) => each !== dialog).at(-1));
      dialog.remove();
      if (before?.isConnected) before.focus({ preventScroll: true });
      resolve(dialog.returnValue);
    });
    standIn(dialog);
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

/** Return a place for what went wrong, and what submits a form: the dialog closes when its work is done. */
function submitting(close) {
  const wrong = h("p", { class: "wrong", role: "alert" });
  const act = async (event, work) => {
    event.preventDefault();
    const button = event.submitter ?? event.target.querySelector("button");
    button.disabled = true;
    try {
      await work();
      close();
    } catch (failure) {
      wrong.textContent = failure.message;
    } finally {
      button.disabled = false;
    }
  };
  return [act, wrong];
}

/** Make a room, or come into one by its invitation; returns it, or nothing. */
export async function newRoom(rooms) {
  let made = null;
  await open("A new room", (close) => {
    const [act, wrong] = submitting(close);
    const name = nameField();
    const link = h("input", { id: "room-link", required: true, autocomplete: "off", inputmode: "url" });
    return [
      h("form", { onsubmit: (event) => act(event, async () => (made = await rooms.create(name.value.trim()))) }, h("label", { for: "room-name" }, "What is it called?"), h("div", { class: "field" }, name, h("button", { type: "submit", class: "primary" }, "Make it"))),
      h("form", { onsubmit: (event) => act(event, async () => (made = await rooms.join(topicOf(link.value)))) }, h("label", { for: "room-link" }, "Or were you invited? Put the link here."), h("div", { class: "field" }, link, h("button", { type: "submit" }, "Come in"))),
      wrong,
    ];
  });
  return made;
}

const nameField = () => h("input", { id: "room-name", required: true, maxlength: 200, autocomplete: "off", "data-focus": true, dir: "auto" });

/** Give a room another name. */
export const rename = (room, rooms) =>
  open("Rename this room", (close) => {
    const [act, wrong] = submitting(close);
    const name = nameField();
    name.value = room.name;
    return [
      h("form", { onsubmit: (event) => act(event, () => rooms.own(room, "PATCH", "", { channel_name: name.value.trim() })) }, h("label", { for: "room-name" }, "What is it called?"), h("div", { class: "field" }, name, h("button", { type: "submit", class: "primary" }, "Rename"))),
      wrong,
    ];
  });

/** Ask what is wrong with a message or a person, and tell the operator. */
export async function report(rooms, heading, what) {
  let isSent = false;
  await open(heading, (close) => {
    const [act, wrong] = submitting(close);
    const reason = h("textarea", { id: "reason", rows: 3, required: true, maxlength: 1000, dir: "auto", "data-focus": true });
    const send = async () => {
      await rooms.session.call("POST", "/chat/reports", { ...what, reason: reason.value.trim() });
      isSent = true;
    };
    return [
      h("p", {}, "Whoever runs this server reads it. Nobody in the room is told."),
      h("form", { onsubmit: (event) => act(event, send) }, h("label", { for: "reason" }, "What is wrong?"), reason, h("div", { class: "buttons" }, h("button", { type: "button", onclick: () => close() }, "Cancel"), h("button", { type: "submit", class: "primary" }, "Report"))),
      wrong,
    ];
  });
  if (isSent) note("Reported; thank you.");
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

export async function invite(room, rooms) {
  const place = h("div", { class: "qr" });
  const field = h("input", { id: "invite-link", readonly: true, "data-focus": true, onfocus: () => field.select() });
  const show = () => {
    field.value = invitation(room.topic);
    drawCode(place, field.value);
  };
  const renew = async () => {
    if (!(await confirm("Make a new link?", "The one of today lets nobody in any more. Whoever is in the room stays.", "Make it"))) return;
    try {
      await rooms.own(room, "POST", "/renew", {});
      show();
      note("From now on this link leads here.");
    } catch (failure) {
      noteFailure(failure);
    }
  };
  show();
  await open("Invite people", () => {
    const copy = h("button", { type: "button", class: "primary", onclick: () => copyText(field) }, "Copy");
    const share = navigator.share && h("button", { type: "button", onclick: () => navigator.share({ url: field.value }).catch(() => {}) }, "Share");
    return [
      h("p", {}, "Whoever has this link can come into ", said(room.name, "bdi", { class: "strong" }), "."),
      place,
      h("label", { for: "invite-link" }, "Link"),
      h("div", { class: "field" }, field, copy, share),
      ...(room.owner === room.me ? [h("button", { type: "button", class: "link", onclick: renew }, "Make a new link")] : []),
    ];
  });
}

async function drawCode(place, link) {
  try {
    // Few invite, so what draws it comes only then.
    const { generate } = await import("lean-qr");
    const code = generate(link);
    place.replaceChildren(squares(code.size, (x, y) => code.get(x, y), "QR code of the link below"));
  } catch {
    place.replaceChildren(h("p", {}, "The QR code could not be drawn; the link below says the same."));
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

export const initial = (name) => [...name.trim()][0]?.toLocaleUpperCase() ?? "?";

/** Show whose account this is; returns "out" or "delete" when that is wanted. */
export const account = (user) =>
  open("Your account", (close) => [
    h("p", {}, "You are ", said(user.name ?? "somebody without a name", "bdi", { class: "strong" }), "."),
    h("p", { class: "small" }, h("a", { href: document.querySelector("link[rel=license]").href, target: "_blank" }, "What this page is made with")),
    h("div", { class: "buttons" }, h("button", { type: "button", class: "danger", onclick: () => close("delete") }, "Delete account"), h("button", { type: "button", "data-focus": true, onclick: () => close("out") }, icon(...ICONS.out), "Log out")),
  ]);

