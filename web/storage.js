// Keep small things from visit to visit, and hear of it when another tab changes them.

const PREFIX = "stampchat.";

/** Return what was kept under a name; a browser that keeps nothing, or something broken, is no reason to stop. */
export function load(name, otherwise = null) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Keep a value; null takes it away. */
export function save(name, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // Private windows and full disks: then it lasts as long as the tab.
  }
}

/** Call `changed` whenever another tab changed what is kept under a name. */
export function watch(name, changed) {
  addEventListener("storage", (event) => {
    if (event.key === PREFIX + name || event.key === null) changed();
  });
}
