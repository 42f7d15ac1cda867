// One person's history beside the wall: what this track did so far, with the way to the review of each action.

import { ask, at } from "./api.js";
import { $, hide, make, show } from "./dom.js";
import { repetitionsOf } from "./repetitions.js";
import { clock } from "./times.js";

const MOST = 50;

let about = null; // {stream, track} of who is shown
let asked = 0; // answers that were overtaken by another wish are dropped

export async function showPerson(stream, track) {
  about = { stream, track };
  $("person-title").textContent = `Person ${track}, ${stream.name}`;
  $("person").hidden = false;
  $("person-title").tabIndex = -1;
  $("person-title").focus();
  drawRepetitions();
  await refresh();
}

const isShown = ({ stream_id: streamId, track_id: track }) => about?.stream.id === streamId && about.track === track;

/** An action of somebody: if it is who is shown, the history has become longer. */
export function noteForPerson(message) {
  if (isShown(message)) refresh();
}

/** A repetition of somebody, which is known by now. */
export function showRepetition(message) {
  if (isShown(message)) drawRepetitions();
}

function drawRepetitions() {
  const rows = repetitionsOf(about.stream.id, about.track);
  $("person-repetitions").replaceChildren(...rows);
  $("person-exercise").hidden = rows.length === 0;
}

export function closePerson() {
  about = null;
  $("person").hidden = true;
}

async function refresh() {
  const { stream, track } = about;
  const mine = (asked += 1);
  hide($("person-problem"));
  try {
    const { items } = await ask("GET", `v1/events?stream=${encodeURIComponent(stream.id)}&track=${track}&limit=${MOST}`);
    if (mine === asked) draw(items);
  } catch (error) {
    if (mine === asked) show($("person-problem"), error);
  }
}

function draw(items) {
  $("person-actions").replaceChildren(...items.map(row));
  $("no-person-actions").hidden = items.length > 0;
}

function row({ id, action, started_at: startedAt, start_s: startS, end_s: endS, peak_confidence: peak }) {
  const length = endS === null ? "now" : `${Math.max(0, endS - startS).toFixed(1)} s`;
  return make(
    "li", { className: endS === null ? "going" : "" },
    make("time", { dateTime: startedAt }, clock(startedAt)),
    make("a", { className: "what grow", href: at(`review?event=${encodeURIComponent(id)}`) }, action),
    make("span", { className: "figure" }, `${Math.round(100 * peak)} % · ${length}`),
  );
}
