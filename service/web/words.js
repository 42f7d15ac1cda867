// Figures in words, and the tables and lists of facts that they stand in.

import { make } from "./dom.js";

const SIZES = ["B", "kB", "MB", "GB", "TB"];
const SPANS = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]];

export const percent = (share) => `${Math.round(100 * share)} %`;
export const rounded = (value, digits = 1) => String(Number(value.toFixed(digits)));
export const count = (number, one, many = `${one}s`) => `${number.toLocaleString()} ${number === 1 ? one : many}`;

export function bytes(number) {
  const power = number < 1 ? 0 : Math.min(SIZES.length - 1, Math.floor(Math.log10(number) / 3));
  const value = number / 1000 ** power;
  return `${value.toFixed(value < 10 && power ? 1 : 0)} ${SIZES[power]}`;
}

/** 93784 → “1 d 2 h”: the two largest parts. */
export function duration(seconds) {
  let left = Math.max(0, Math.round(seconds));
  const parts = [];
  for (const [unit, length] of SPANS) {
    if (left >= length || (unit === "s" && !parts.length)) parts.push(`${Math.floor(left / length)} ${unit}`);
    left %= length;
  }
  return parts.slice(0, 2).join(" ");
}

/** A list of names and what is to be said of each; entries whose text is empty are left out. */
export function facts(entries) {
  const shown = entries.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return make("dl", { className: "facts" }, ...shown.map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, ...[value].flat()))));
}

/** A table that scrolls by itself where it is too wide. `rows`: lists of texts or elements; the first names its row. */
export function table(caption, heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => Object.assign(make("th", {}, text), { scope: "col" })));
  const body = rows.map(([first, ...rest]) =>
    make("tr", {}, Object.assign(make("th", {}, first), { scope: "row" }), ...rest.map((cell) => make("td", {}, ...[cell].flat()))));
  const whole = make("div", { className: "scroll", tabIndex: 0, aria: { label: caption } },
    make("table", {}, make("caption", { className: "hidden-words" }, caption), make("thead", {}, head), make("tbody", {}, ...body)));
  whole.setAttribute("role", "region");
  return whole;
}

/** A bar with its words beside it; `bad`: from this value on it is too much. */
export function meter(label, value, most, words, bad = most) {
  const bar = make("meter", { min: 0, max: most, value: Math.min(value, most), high: bad * 0.9, low: 0, optimum: 0, aria: { label } });
  return make("p", { className: "meter" }, bar, make("span", {}, words));
}
