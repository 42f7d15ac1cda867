// What a rule found, or would have found in the last day.

import { ask, at } from "./api.js";
import { $, make } from "./dom.js";
import { moment } from "./times.js";
import { count, duration, percent } from "./words.js";

const DAY_MS = 86_400_000;
const AROUND_MS = 5000; // what is looked at of an incident that only might have been
const MOST = 50;

let nameOf = (streamId) => streamId;

export function nameStreamsBy(names) {
  nameOf = names;
}

/** `ask(span)` → the API's dry run. */
export async function showTrial(name, run) {
  const now = Date.now();
  const trial = await run({ since: new Date(now - DAY_MS).toISOString(), until: new Date(now).toISOString() });
  begin(`${name}: the last 24 h`, trialWords(trial));
  $("found-list").replaceChildren(...trial.incidents.map((each) => row(each, eventsAround(each))));
}

/** The newest incidents of a rule. */
export async function showIncidents(rule) {
  const { items } = await ask("GET", `v1/incidents?rule=${encodeURIComponent(rule.id)}&limit=${MOST}`);
  begin(`Incidents of ${rule.name}`, items.length ? `The newest ${items.length}.` : "None yet.");
  $("found-list").replaceChildren(...items.map((each) => row(each, at(`incidents/${each.id}`))));
}

function begin(title, words) {
  $("found-title").textContent = title;
  $("found-words").textContent = words;
  $("found").hidden = false;
  $("found-title").focus();
}

/** Also what the answer cannot know: a log that is shorter, messages that were not read. */
function trialWords({ incidents, more, messages, since, log_since: logSince, truncated }) {
  const all = incidents.length + more;
  const words = [all ? `${count(all, "incident")}, ${count(messages, "message")} to each sink. Nothing was stored or sent.` : "It would have found nothing."];
  if (logSince === null) words.push("The log is empty.");
  else if (Date.parse(logSince) > Date.parse(since)) words.push(`The log begins at ${moment(logSince)}; before it nothing is known.`);
  if (truncated) words.push("Only the first part of the messages was read.");
  if (more) words.push(`The first ${incidents.length} are listed.`);
  return words.join(" ");
}

function row(incident, link) {
  const { stream_id: streamId, zone, action, people, confidence, started_at: startedAt, ended_at: endedAt, muted } = incident;
  const length = endedAt === null ? "goes on" : duration((Date.parse(endedAt) - Date.parse(startedAt)) / 1000);
  const about = [count(people, "person", "people"), confidence === null ? "" : percent(confidence), length, muted ? "not told: too many an hour" : ""];
  return make("li", {},
    make("time", { dateTime: startedAt }, moment(startedAt)),
    make("span", { className: "grow" },
      make("a", { className: "what", href: link }, action ?? "Incident"),
      make("span", { className: "soft" }, ` ${[nameOf(streamId), zone].filter(Boolean).join(", ")}`)),
    make("span", { className: "figure" }, about.filter(Boolean).join(" · ")));
}

/** → the page of what happened then: an incident that was not has no page of its own. */
function eventsAround({ stream_id: stream, action, started_at: startedAt, ended_at: endedAt }) {
  const since = new Date(Date.parse(startedAt) - AROUND_MS).toISOString();
  const until = new Date((endedAt === null ? Date.now() : Date.parse(endedAt)) + AROUND_MS).toISOString();
  const query = new URLSearchParams({ stream, since, until, ...(action === null ? {} : { action }) });
  return at(`events?${query}`);
}
