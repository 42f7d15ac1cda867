// Events as people read them; the same words on every page.

import { make } from "./dom.js";
import { lengthOf, unixOf } from "./times.js";

const VERDICT_LOOK = { right: ["✓ right", "good"], wrong: ["✗ wrong", "bad"], unsure: ["? unsure", "warn"] };

/** What somebody said of an event, as a chip; nothing where nobody did. */
export function verdictChip(verdict) {
  if (!verdict) return [];
  const [text, look] = VERDICT_LOOK[verdict.verdict];
  return [make("span", { className: `chip ${look}` }, verdict.verdict === "wrong" ? `${text}: ${verdict.label}` : text)];
}

export const lengthText = ({ start_s: start, end_s: end }) => (end === null ? "now" : lengthOf(Math.max(0, end - start)));

/** → [from, to] of an event in Unix time; what goes on ends now. */
export function spanOf({ started_at: from, ended_at: to }) {
  return [unixOf(from), to === null ? Date.now() / 1000 : unixOf(to)];
}

/** “Fighting, person 7, Gate (yard)”. */
export function placeText({ track_id: person, stream_id: id, zones = [] }, names) {
  const camera = names.get(id) ?? "deleted camera";
  return `person ${person}, ${camera}${zones.length ? ` (${zones.join(", ")})` : ""}`;
}
