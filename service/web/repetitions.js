// Repetitions of exercises: the latest of each person since the page was opened, and how they are listed.

import { make } from "./dom.js";
import { clock } from "./times.js";

const MOST_PEOPLE = 200;
const MOST_EACH = 50; // newest first

const told = new Map(); // camera and person → messages; who did the latest comes last

const keyOf = (streamId, track) => `${streamId}/${track}`;

export function noteRepetition(message) {
  const key = keyOf(message.stream_id, message.track_id);
  const known = told.get(key) ?? [];
  told.delete(key);
  told.set(key, [message, ...known].slice(0, MOST_EACH));
  while (told.size > MOST_PEOPLE) told.delete(told.keys().next().value);
}

/** → rows of a list. */
export const repetitionsOf = (streamId, track) => (told.get(keyOf(streamId, track)) ?? []).map(row);

function row({ captured_at: at, exercise, count, duration_s: lasted, depth_deg: depth, checks }) {
  const broken = Object.keys(checks).filter((name) => checks[name]);
  return make(
    "li", {},
    make("time", { dateTime: at }, clock(at)),
    make("span", { className: "grow" },
      make("span", { className: "what" }, `${exercise} ${count}`),
      ...broken.flatMap((name) => [" ", make("span", { className: "chip warn" }, name.replaceAll("_", " "))])),
    make("span", { className: "figure" }, `${Math.round(depth)}° · ${lasted.toFixed(1)} s`),
  );
}
