// One incident: its picture and clip, its events, the rule that found it, and what can be done with it.

import { ask, askAll, at, may } from "./api.js";
import { $, make, show } from "./dom.js";
import { lengthText, verdictChip } from "./event_words.js";
import { exportAround, openExport } from "./export.js";
import { keep, snooze } from "./incident_desk.js";
import { bindKeys, showHelp } from "./keys.js";
import { showShell } from "./shell.js";
import { lengthOf, spokenClock, unixOf } from "./times.js";
import { facts, percent } from "./words.js";

const POLL_MS = 3000; // while a clip is cut, or the incident goes on
const AROUND_S = 10;
const SHOWN = 100;

const id = location.pathname.split("/").pop();
let clock = null;
let names = new Map();
let permissions = [];
let incident = null;

const say = (text) => ($("action-note").textContent = text);

const tried = (work) => async () => {
  $("problem").hidden = true;
  try {
    await work();
  } catch (error) {
    show($("problem"), error);
  }
};

function draw() {
  const { rule_name: rule, kept } = incident;
  $("title").textContent = rule;
  if ($("keep")) $("keep").firstChild.textContent = kept ? "Kept" : "Keep";
  $("keep")?.setAttribute("aria-pressed", String(kept));
  $("facts").replaceChildren(facts(whatItIs()));
  drawMedia();
  document.title = `${rule} · Actoscope`;
}

function whatItIs() {
  const { stream_id: stream, zone, action, severity, state, people, tracks, confidence, model, muted } = incident;
  const [from, to] = [unixOf(incident.started_at), incident.ended_at && unixOf(incident.ended_at)];
  return [
    ["Rule", incident.rule_name],
    ["Camera", names.get(stream) ?? "deleted camera"],
    ["Zone", zone],
    ["Action", action],
    ["Severity", severity],
    ["State", state],
    ["Began", clock.moment(from)],
    ["Ended", to ? `${clock.moment(to)} (${lengthOf(to - from)})` : "it goes on"],
    ["People", tracks.length ? `${people} (${tracks.map((track) => `person ${track}`).join(", ")})` : String(people)],
    ["Confidence", confidence === null ? null : percent(confidence)],
    ["Model", model],
    ["Told", muted ? "nobody: its rule had its hourly number of messages" : null],
  ];
}

const CLIP_WORDS = {
  none: () => "Its rule asks for no clip.",
  waiting: () => "The clip comes once what follows is recorded.",
  ready: () => "",
  missing: (reason) => `There is no clip: ${reason}`,
};

function drawMedia() {
  const { clip, snapshot, clip_state: state, clip_reason: reason } = incident;
  if (clip && $("clip").getAttribute("src") !== clip) $("clip").src = clip;
  $("clip").hidden = !clip;
  $("clip-note").textContent = CLIP_WORDS[state](reason);
  if (snapshot === null || $("snapshot").getAttribute("src") === snapshot) return;
  $("snapshot").hidden = false;
  $("snapshot").onerror = () => ($("snapshot").hidden = true); // retention may have taken it
  $("snapshot").src = snapshot;
}

/** Events that retention removed, or that may not be seen, are left out. */
async function drawEvents() {
  const found = await Promise.all(incident.events.slice(0, SHOWN).map((each) => ask("GET", `v1/events/${encodeURIComponent(each)}`).catch(() => null)));
  $("events").replaceChildren(...found.filter(Boolean).map(rowOf));
  $("no-events").hidden = $("events").children.length > 0;
}

function rowOf(event) {
  return make("li", {},
    make("time", { dateTime: event.started_at }, clock.time(unixOf(event.started_at))),
    make("span", { className: "grow" }, make("span", { className: "what" }, event.action), ` person ${event.track_id} `, ...verdictChip(event.verdict)),
    make("span", { className: "figure" }, `${percent(event.peak_confidence)} · ${lengthText(event)}`),
    make("a", { href: at(`review?event=${encodeURIComponent(event.id)}`), aria: { label: `Review ${event.action}, person ${event.track_id}` } }, "Review"));
}

async function keepIt() {
  incident = await keep(incident);
  draw();
  say(incident.kept ? "Kept: nothing removes its recordings." : "Not kept any more.");
}

async function snoozeIt() {
  const rule = await snooze(incident);
  say(`“${rule.name}” is silent until ${clock.time(unixOf(rule.snoozed_until))}.`);
}

async function exportIt() {
  const [from, to] = [unixOf(incident.started_at), incident.ended_at ? unixOf(incident.ended_at) : Date.now() / 1000];
  const wanted = {
    title: `${incident.rule_name}, ${clock.day(from)}`,
    streams: [incident.stream_id],
    since: Math.floor(from - AROUND_S),
    until: Math.ceil(to + AROUND_S),
    tracks: incident.tracks.map((track) => [incident.stream_id, track]),
  };
  await openExport(wanted, await exportAround(clock, permissions));
}

async function read() {
  incident = await ask("GET", `v1/incidents/${encodeURIComponent(id)}`);
  draw();
}

/** Until nothing changes any more by itself. */
async function follow() {
  while (incident.state !== "ended" || incident.clip_state === "waiting") {
    await new Promise((wake) => setTimeout(wake, POLL_MS));
    const events = incident.events.length;
    if (!document.hidden) await tried(read)();
    if (incident.events.length !== events) await drawEvents();
  }
}

async function begin() {
  const who = await showShell("incident");
  ({ permissions } = who);
  clock = spokenClock();
  $("zone").textContent = clock.zone;
  const rights = { keep: await may("incidents:write"), snooze: await may("rules:snooze") };
  names = new Map((await askAll("v1/streams")).map((stream) => [stream.id, stream.name]));
  const entry = (key, words, text, does, more = {}) => ({ group: "Incident", bar: "bar", keys: [key], words, text, does, ...more });
  const table = bindKeys([
    entry("s", "Keep it and its recordings, or not", "Keep", tried(keepIt), { may: rights.keep, id: "keep" }),
    entry("z", "Snooze its rule for 30 minutes", "Snooze 30 min", tried(snoozeIt), { may: rights.snooze }),
    entry("e", "Export", "Export", tried(exportIt)),
    entry("?", "All keys", "Keys", () => showHelp(table)),
  ]);
  await read();
  await drawEvents();
  await follow();
}

begin().catch((error) => show($("problem"), error));
