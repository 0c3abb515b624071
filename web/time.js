// Say when something was. The services tell UTC without a zone; days are those of the reader, by the server's clock.

import { clock } from "./api.js";

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
const SHORT = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const ONE_DAY = 86_400_000;

export const parse = (text) => new Date(`${text}Z`);
export const timeOf = (text) => TIME.format(parse(text));
export const wholeOf = (text) => WHOLE.format(parse(text));
const startOf = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
const today = () => startOf(new Date(Date.now() + clock.behind));

/** Return a number that is the same for two moments of one day. */
export const dayNumber = (text) => startOf(parse(text));

export function dayOf(text) {
  const days = Math.round((today() - dayNumber(text)) / ONE_DAY);
  return days === 0 ? "Today" : days === 1 ? "Yesterday" : DAY.format(parse(text));
}

/** Return the time of today, or the day of what is older. */
export const briefly = (text) => (dayNumber(text) === today() ? timeOf(text) : SHORT.format(parse(text)));
