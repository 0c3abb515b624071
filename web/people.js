// Who is in a room, and what one may do about them: block, report, and as the room's owner remove, or rename it.

import { confirm, initial, open, rename, report } from "./dialogs.js";
import { h, icon, ICONS, said } from "./dom.js";
import { note, noteFailure } from "./notices.js";
import { inkOf } from "./stamp.js";

/** Show who is here, and who else has a part in what was said. */
export function people(room, rooms) {
  const blocked = new Set();
  const marks = new Map();
  const mark = () => marks.forEach((element, user) => (element.hidden = !blocked.has(user)));
  const role = (word, hidden = false) => h("span", { class: "role", hidden }, word);
  const one = (member) => {
    const isMe = member.id === room.me;
    const badge = role(isMe ? "you" : "blocked", !isMe);
    if (!isMe) marks.set(member.user, badge);
    return h("li", {},
      h("span", { class: `face ink-${inkOf(member.id)}`, "aria-hidden": "true" }, initial(member.name)),
      said(member.name),
      member.id === room.owner && role("owner"),
      badge,
      !isMe && h("button", { type: "button", class: "tool", "aria-label": `About ${member.name}`, onclick: () => about(member, room, rooms, blocked).then(mark, noteFailure) }, icon(...ICONS.more)));
  };
  const all = [...room.members.values()].sort((a, b) => a.name.localeCompare(b.name));
  const here = all.filter((member) => room.present.has(member.id));
  const others = all.filter((member) => !room.present.has(member.id));
  // Without a connection nobody is marked.
  rooms.blocked().then((users) => (users.forEach((user) => blocked.add(user)), mark()), () => {});
  return open("People", () => [
    h("h3", {}, `Here now: ${here.length}`),
    h("ul", { class: "people" }, here.map(one)),
    ...(others.length ? [h("h3", {}, "Not here, or gone"), h("ul", { class: "people" }, others.map(one))] : []),
    ...(room.owner === room.me ? [h("button", { type: "button", class: "link", onclick: () => rename(room, rooms) }, "Rename this room")] : []),
  ]);
}

/** Offer what one may do about somebody, and do it. */
async function about(member, room, rooms, blocked) {
  const { name, user } = member;
  const isBlocked = blocked.has(user);
  const wish = await open(name, (close) => {
    const button = (value, text, kind = "") => h("button", { type: "button", class: kind, onclick: () => close(value) }, text);
    return [
      h("p", {}, isBlocked ? "You do not see what they say and stamp." : "Block them, and you no longer see what they say and stamp, in any room. They are not told."),
      h("div", { class: "buttons" },
        room.owner === room.me && button("remove", "Remove from room", "danger"),
        button("report", "Report"),
        button("block", isBlocked ? "Unblock" : "Block")),
    ];
  });
  if (wish === "report") await report(rooms, "Report this person", { user_id: user, channel_id: room.id });
  if (wish === "block") {
    await rooms.block(user, !isBlocked);
    if (isBlocked) blocked.delete(user);
    else blocked.add(user);
    note(`${name} is ${isBlocked ? "no longer blocked" : "blocked"}.`);
  }
  if (wish === "remove" && (await confirm(`Remove ${name}?`, "They no longer see what is said here, and today's invitation lets them in no more.", "Remove"))) {
    await rooms.own(room, "POST", "/remove", { member_id: member.id });
    note(`${name} is no longer in this room.`);
  }
}
