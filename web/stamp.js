// Draw stamps: the same stamp looks the same to everybody, since all of it follows from what is stored.

import { h } from "./dom.js";

export const INKS = 6;
// Each that is in the air is a layer of its own to the browser, and no eye follows more.
const MOST_LANDING = 16;
const LAND_MS = 400;
let landing = 0;

/** Return which ink a member stamps with. */
export const inkOf = (memberId) => Math.abs(memberId ?? 0) % INKS;

/** Return how far a stamp is turned, in degrees, and how large it is: both grow with its strength. */
export function shapeOf(strength, side = 1) {
  return { turn: side * (4 + 18 * strength), size: 0.85 + 1.15 * strength };
}

/** Make a stamp that lies on a message; x and y are parts of the message's width and height. */
export function drawStamp({ id, client_id: client, member_id: member, word, x_pos: x, y_pos: y, strength }) {
  const element = h("span", { class: `stamp ink-${inkOf(member)}` }, h("bdi", { dir: "auto" }, word));
  // Its sender draws it before it has an id of the service's.
  const { turn, size } = shapeOf(strength, Number.parseInt((client ?? String(id)).at(-1), 16) % 2 ? 1 : -1);
  setShape(element, turn, size);
  element.style.setProperty("--x", `${100 * within(x)}%`);
  element.style.setProperty("--y", `${100 * within(y)}%`);
  return element;
}

/** Let a stamp fall; where many come at once, some lie there at once. */
export function land(element) {
  if (landing >= MOST_LANDING) return;
  landing += 1;
  element.classList.add("lands");
  // Without the class it does not fall again when its row is moved.
  setTimeout(() => {
    landing -= 1;
    element.classList.remove("lands");
  }, LAND_MS);
}

/** Make the stamp that is still in somebody's hand. */
export function drawGhost(word, ink) {
  return h("span", { class: `stamp ghost ink-${ink}`, "aria-hidden": "true" }, h("bdi", { dir: "auto" }, word));
}

export function setShape(element, turn, size) {
  element.style.setProperty("--turn", `${turn.toFixed(2)}deg`);
  element.style.setProperty("--size", size.toFixed(3));
}

/** Say in words what lies on a message. */
export function describeStamps(stamps, nameOf) {
  if (stamps.length <= 6) return stamps.map((stamp) => `${stamp.word}, by ${nameOf(stamp.member_id)}`).join("; ");
  const counts = new Map();
  for (const { word } of stamps) counts.set(word, (counts.get(word) ?? 0) + 1);
  const most = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 10);
  return `${stamps.length} in all: ${most.map(([word, count]) => `${word} ${count} times`).join(", ")}`;
}

// Another client may count in points from the corner; such a stamp lies at the edge.
const within = (part) => Math.min(1, Math.max(0, Number.isFinite(part) ? part : 0.5));
