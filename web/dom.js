// Make elements. Text is only ever text: nothing here, or anywhere else in the page, parses markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: `on…` properties are listeners, the others attributes; true is an empty one, false and null none. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Make somebody's words: in their own direction, which does not reach out into the line around them. */
export const said = (text, tag = "bdi", properties = {}) => h(tag, { dir: "auto", ...properties }, text);

/** Make a picture out of paths, drawn with lines in the colour of the text; it says nothing to a screen reader. */
export function icon(...paths) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  for (const d of paths) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

/** Make a picture of squares: `isDark(x, y)` for a square of `size` by `size`. */
export function squares(size, isDark, label) {
  const svg = document.createElementNS(SVG, "svg");
  // Four squares of quiet around it, as readers of QR codes want.
  svg.setAttribute("viewBox", `-4 -4 ${size + 8} ${size + 8}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  svg.setAttribute("shape-rendering", "crispEdges");
  const path = document.createElementNS(SVG, "path");
  let d = "";
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) if (isDark(x, y)) d += `M${x} ${y}h1v1h-1z`;
  path.setAttribute("d", d);
  svg.append(path);
  return svg;
}

export const ICONS = {
  back: ["M15 5l-7 7 7 7"],
  plus: ["M12 5v14M5 12h14"],
  people: ["M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c0-3.6 2.9-6 6.5-6s6.5 2.4 6.5 6", "M16 4.5a3.5 3.5 0 0 1 0 6.3M18 14.3c2.2.9 3.5 3 3.5 5.7"],
  invite: ["M10 14a4 4 0 0 0 6 .4l3-3a4.2 4.2 0 0 0-6-6l-1.5 1.5", "M14 10a4 4 0 0 0-6-.4l-3 3a4.2 4.2 0 0 0 6 6l1.5-1.5"],
  leave: ["M14 4H6v16h8", "M10 12h11M17 8l4 4-4 4"],
  more: ["M5.500 12h.01M12 12h.01M18.500 12h.01"],
  report: ["M6 21V4h12l-3 4 3 4H6"],
  send: ["M4 12l16-8-6 17-3-7z"],
  edit: ["M4 20l1-4L16 5l3 3L8 19z"],
  remove: ["M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13"],
  stamp: ["M9 14c1-3-1-4-1-6.500a4 4 0 0 1 8 0c0 2.500-2 3.500-1 6.500M5 14h14v4H5zM5 21h14"],
  down: ["M12 5v14M6 13l6 6 6-6"],
  out: ["M12 3v9", "M6.500 7a8 8 0 1 0 11 0"],
};
