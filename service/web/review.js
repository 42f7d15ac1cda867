// Review: what waits to be looked at, the recording that shows it, what people say of it, and the day around it.

import { ahead, ask, askAll, at, firstPage, may } from "./api.js";
import { $, make, show } from "./dom.js";
import { lengthText, placeText, spanOf } from "./event_words.js";
import { exportAround, openExport } from "./export.js";
import { EVENT_FIELDS, Filters, asked, filtersOf, focusSearch, readChoices, searchField } from "./filters.js";
import { Inbox, pagePath } from "./inbox.js";
import { incidentsOf, keep, snooze } from "./incident_desk.js";
import { bindKeys, showHelp } from "./keys.js";
import { Lanes } from "./lanes.js";
import { Strip } from "./lane_ink.js";
import { Palette } from "./palette.js";
import { Player } from "./player.js";
import { forever, showShell } from "./shell.js";
import { rfc3339, spokenClock, unixOf } from "./times.js";
import { Verdicts } from "./verdicts.js";
import { percent } from "./words.js";

const SKIP_S = 5;
const ZOOM = 1.6;
const PAN = 0.25;
const BEFORE_S = 2; // the player begins so long before an event
const GO_ON = "actoscope-review-next";
const MOST_LEGEND = 12;
const LOOK_MS = 15_000; // how often it is asked what came meanwhile

const around = { clock: null, palette: null, models: [], streams: [], names: new Map(), may: {} };
let parts = {}; // inbox, player, lanes, strip, verdicts, filters
let shown = { day: null, loading: null, timeline: null, camera: null, incidents: [] };

/** For what somebody started by a key or a button: what goes wrong is shown. */
const tried = (work) => async (...given) => {
  $("problem").hidden = true;
  try {
    return await work(...given);
  } catch (error) {
    show($("problem"), error);
    return undefined;
  }
};

// -- what the list shows

const query = () => new URLSearchParams(location.search);

/** What the list asks the API for. */
function wanted() {
  const params = filtersOf(location.search);
  if (!query().has("all") && !params.has("reviewed")) params.set("reviewed", "false");
  if (query().get("order") === "review") params.set("order", "review");
  return asked(params, around.clock);
}

/** The address says what is looked at, so that it can be sent to somebody. */
function setAddress(change) {
  const params = query();
  for (const [name, value] of Object.entries(change)) {
    if (value === null) params.delete(name);
    else params.set(name, value);
  }
  const text = params.toString();
  history.replaceState(null, "", `${at("review")}${text ? `?${text}` : ""}`);
}

function setFilters(params, words) {
  const kept = ["event", "all", "order"].filter((name) => query().has(name) && !params.has(name)).map((name) => [name, query().get(name)]);
  const text = new URLSearchParams([...params, ...(words ? [["q", words]] : []), ...kept]).toString();
  history.replaceState(null, "", `${at("review")}${text ? `?${text}` : ""}`);
  $("order").checked = query().get("order") === "review"; // words may ask for it
}

async function loadInbox(first = null) {
  await parts.inbox.load(wanted().toString(), first);
}

const reload = tried(async () => {
  await loadInbox();
  openFirst();
});

function openFirst() {
  const [event] = parts.inbox.items;
  if (event) return parts.inbox.open(event.id);
  $("verdict").hidden = $("alert").hidden = true;
  $("event-title").textContent = "No event chosen";
  $("event-note").textContent = "";
  return undefined;
}

// -- one event

const openEvent = tried(async (event) => {
  setAddress({ event: event.id });
  const [from, to] = spanOf(event);
  $("event-title").replaceChildren(around.palette.swatch(event.action), ` ${event.action}, person ${event.track_id}`);
  $("event-note").textContent = [placeText(event, around.names), `${around.clock.moment(from)}, ${lengthText(event)}`, percent(event.peak_confidence), event.model].filter(Boolean).join(" · ");
  $("action-note").textContent = "";
  parts.verdicts.show(event);
  showAlert([]);
  await showDay(around.clock.day(from));
  if (current()?.id !== event.id) return; // another one was opened meanwhile
  parts.lanes.choose(event.id);
  showCamera(event.stream_id);
  const onset = await parts.player.onset(event, from);
  await parts.player.seek(parts.player.within(onset - BEFORE_S, onset));
  if (current()?.id !== event.id) return;
  showAlert(await incidentsOf(event, [from, to]));
});

const current = () => parts.inbox.event;

/** The event of a bar, which may not be in the list. */
const openById = tried(async (id) => {
  if (!parts.inbox.rows.has(id)) await loadInbox(await ask("GET", `v1/events/${encodeURIComponent(id)}`));
  parts.inbox.open(id);
});

// -- the day

async function showDay(day) {
  if (shown.day === day) return;
  shown.day = day;
  $("day").value = day;
  shown.loading = loadDay();
  try {
    await shown.loading;
  } catch (error) {
    shown.day = null; // so that it is asked for again
    throw error;
  }
}

const spanOfDay = (day) => [around.clock.startOf(day), around.clock.startOf(day, 1)];

function pathOfDay(day) {
  const [since, until] = spanOfDay(day);
  const params = new URLSearchParams([...filtersOf(location.search)].filter(([name]) => name === "stream"));
  params.set("since", rfc3339(since));
  params.set("until", rfc3339(until));
  return `v1/timeline?${params}`;
}

/** The day of the event that will be opened is the largest answer: it is asked for before the list is drawn. */
function foresee(event) {
  const day = around.clock.day(spanOf(event)[0]);
  if (shown.day !== day) ahead(pathOfDay(day));
}

async function loadDay() {
  const { day } = shown;
  const [since, until] = spanOfDay(day);
  const timeline = await ask("GET", pathOfDay(day));
  if (shown.day !== day) return;
  shown.timeline = { ...timeline, since, until };
  drawDay();
}

function drawDay() {
  const { timeline } = shown;
  parts.lanes.show(timeline, Math.min(timeline.until, Date.now() / 1000));
  parts.strip.show(timeline);
  if (shown.camera) showCamera(shown.camera);
  const actions = [...new Set(timeline.events.map(([, , , action]) => action))];
  $("legend").replaceChildren(...actions.slice(0, MOST_LEGEND).map((action) => make("span", {}, around.palette.swatch(action), action)));
  const left = timeline.left_out ? `, ${timeline.left_out} older ones left out` : "";
  const unseen = timeline.recordings_left_out ? `; ${timeline.recordings_left_out} older runs of recordings are not shown` : "";
  const alerts = timeline.events.filter((event) => event[9]).length;
  $("lanes-note").textContent = `${timeline.events.length} events${left}, ${alerts} of alerts${unseen}`;
  const words = `${timeline.streams.length} cameras, ${timeline.events.length} actions, ${alerts} of alerts, on ${around.clock.date(timeline.since)}`;
  $("lanes").setAttribute("aria-label", `Timeline: ${words}. The list of events says the same.`);
}

/** The player has the recordings of one camera. */
function showCamera(id) {
  shown.camera = id;
  const recordings = shown.timeline?.streams.find((stream) => stream.id === id)?.recordings ?? [];
  parts.player.offer(id, recordings.map(([, from, to]) => [from, to]));
}

const changeDay = tried(async (day) => {
  if (!/^\d{4}-\d\d-\d\d$/.test(day)) return;
  await showDay(day);
});

const seekTo = tried(async (unix, streamId) => {
  if (streamId !== null) showCamera(streamId);
  await parts.player.seek(unix);
});

// -- what is said and done

/** Verdicts and marks of an event, wherever it is shown. */
function changeEvent(id, fields) {
  const event = parts.inbox.change(id, fields);
  const bar = shown.timeline?.events.find(([each]) => each === id);
  if (bar && fields.verdict) bar[7] = fields.verdict.verdict;
  if (bar && "reviewed" in fields) bar[8] = fields.reviewed;
  if (bar) parts.lanes.show(shown.timeline, Math.min(shown.timeline.until, Date.now() / 1000));
  return event;
}

const onSaid = tried(async (id, verdict) => {
  const event = changeEvent(id, { verdict });
  if (event) parts.verdicts.stored(event);
  say(`Said: ${verdict.verdict}${verdict.verdict === "wrong" ? `, it was ${verdict.label}` : ""}.`);
  await markReviewed([id], true); // whoever judges it has looked at it
  if ($("go-on").checked) await parts.inbox.move(1);
});

async function markReviewed(ids, reviewed) {
  if (ids.length === 1) await ask("PUT", `v1/events/${encodeURIComponent(ids[0])}/reviewed`, { reviewed });
  else await ask("POST", "v1/events/reviewed", { ids, reviewed });
  for (const id of ids) changeEvent(id, { reviewed });
}

/** Those selected, or the current one; all of them back if all were reviewed already. */
const review = tried(async () => {
  const ids = parts.inbox.meant;
  if (!ids.length) return;
  const known = new Map(parts.inbox.items.map((event) => [event.id, event]));
  const reviewed = ids.some((id) => !known.get(id)?.reviewed);
  for (let start = 0; start < ids.length; start += 500) await markReviewed(ids.slice(start, start + 500), reviewed);
  say(`${ids.length === 1 ? "1 event" : `${ids.length} events`} ${reviewed ? "reviewed" : "not reviewed any more"}.`);
});

const say = (text) => ($("action-note").textContent = text);

function showAlert(incidents) {
  shown.incidents = incidents;
  $("alert").hidden = incidents.length === 0;
  const links = incidents.map(({ id, rule_name: rule, kept }) => make("a", { href: at(`incidents/${encodeURIComponent(id)}`) }, `${rule}${kept ? " (kept)" : ""}`));
  $("alert-words").replaceChildren("Part of an alert: ", ...links);
}

const alertOf = () => {
  const [incident] = shown.incidents;
  if (!incident) say("This event is part of no alert.");
  return incident;
};

const keepAlert = tried(async () => {
  const incident = alertOf();
  if (!incident) return;
  const fresh = await keep(incident);
  showAlert(shown.incidents.map((each) => (each.id === fresh.id ? fresh : each)));
  say(fresh.kept ? "Kept: nothing removes its recordings." : "Not kept any more.");
});

const snoozeRule = tried(async () => {
  const incident = alertOf();
  if (!incident) return;
  const rule = await snooze(incident);
  say(`“${rule.name}” is silent until ${around.clock.time(unixOf(rule.snoozed_until))}.`);
});

const exportIt = tried(async () => {
  const event = current();
  const [from, to] = event ? spanOf(event) : [parts.lanes.from, parts.lanes.to];
  const title = event ? `${event.action}, ${around.names.get(event.stream_id) ?? ""}, ${around.clock.day(from)}` : "";
  const streams = event ? [event.stream_id] : around.streams.map(({ id }) => id);
  const tracks = event ? [[event.stream_id, event.track_id]] : [];
  const margin = event ? 10 : 0;
  await openExport({ title, streams, tracks, since: Math.floor(from - margin), until: Math.ceil(to + margin) }, await exportAround(around.clock, around.permissions));
});

// -- keys and buttons

function keyTable() {
  const { player, inbox, lanes, verdicts } = parts;
  const { label, keep: keeps, snooze: snoozes, review: reviews } = around.may;
  const entry = (group, bar) => (keys, words, text, does, more = {}) => ({ group, bar, keys, words, text, does, ...more });
  const [list, film, said, time] = [entry("Events", "inbox-bar"), entry("Player", "player-bar"), entry("Verdict", "verdict-bar"), entry("Timeline", "lanes-bar")];
  const edge = entry("Verdict", "edges-bar");
  const alert = entry("Alert", "alert-bar");
  const event = () => current() !== null;
  return [
    list(["j"], "Next event", "Next", tried(() => inbox.move(1))),
    list(["k"], "Event before", "Before", tried(() => inbox.move(-1))),
    list(["j"], "Next event, selected too", "", tried(() => inbox.move(1, true)), { shift: true, bar: null }),
    list(["k"], "Event before, selected too", "", tried(() => inbox.move(-1, true)), { shift: true, bar: null }),
    list(["r"], "Reviewed, or not: what is selected, or the current event", "Reviewed", review, { may: reviews }),
    list(["/"], "Search", "Search", focusSearch, { bar: null }),
    film([" "], "Play or pause", "Play", tried(() => player.toggle()), { id: "play" }),
    film(["ArrowLeft"], "5 seconds back", "5 s back", tried(() => player.skip(-SKIP_S))),
    film(["ArrowRight"], "5 seconds on", "5 s on", tried(() => player.skip(SKIP_S))),
    film([","], "One picture back", "Picture back", () => player.step(-1)),
    film(["."], "One picture on", "Picture on", () => player.step(1)),
    film(["["], "Slower", "Slower", () => player.faster(-1)),
    film(["]"], "Faster", "Faster", () => player.faster(1)),
    film(["o"], "Boxes and labels on or off", "Boxes", () => $("boxes").setAttribute("aria-pressed", String(player.toggleBoxes())), { id: "boxes" }),
    film(["f"], "Full screen", "Full screen", () => $("stage").requestFullscreen()),
    film(["e"], "Export", "Export", exportIt),
    said(["c"], "Right: it is what the label says", "Right", () => event() && verdicts.say("right"), { may: label, className: "good" }),
    said(["x"], "Wrong: then choose what it was", "Wrong", () => event() && verdicts.askLabel(), { may: label, className: "bad" }),
    said(["u"], "Unsure", "Unsure", () => event() && verdicts.say("unsure"), { may: label, className: "warn" }),
    said([..."123456789"], "It was the label of this number", "", (key) => event() && verdicts.sayLabel(Number(key) - 1), { may: label, bar: null, range: "1 … 9" }),
    edge(["b"], "It begins at the picture shown", "Begins here", () => event() && verdicts.setEdgeHere("start"), { may: label }),
    edge(["n"], "It ends at the picture shown", "Ends here", () => event() && verdicts.setEdgeHere("end"), { may: label }),
    alert(["s"], "Keep the alert and its recordings, or not", "Keep", keepAlert, { may: keeps }),
    alert(["z"], "Snooze the alert's rule for 30 minutes", "Snooze 30 min", snoozeRule, { may: snoozes }),
    time(["+", "="], "Nearer", "Nearer", () => lanes.zoom(1 / ZOOM)),
    time(["-"], "Farther", "Farther", () => lanes.zoom(ZOOM)),
    time(["0"], "The whole day", "Day", () => lanes.fit()),
    time(["ArrowLeft"], "Earlier", "Earlier", () => lanes.pan(-PAN), { shift: true }),
    time(["ArrowRight"], "Later", "Later", () => lanes.pan(PAN), { shift: true }),
    entry("Page", "inbox-bar")(["?"], "All keys", "Keys", () => showHelp(table)),
  ];
}

let table = [];

function listen() {
  $("day").onchange = () => changeDay($("day").value);
  $("day-before").onclick = () => changeDay(around.clock.day(around.clock.startOf(shown.day, -1)));
  $("day-after").onclick = () => changeDay(around.clock.day(around.clock.startOf(shown.day, 1)));
  $("inbox-new").onclick = tried(async () => {
    await loadInbox(current());
    parts.inbox.open(parts.inbox.current, true);
    await loadDay();
  });
  $("seen-too").onchange = () => {
    setAddress({ all: $("seen-too").checked ? "1" : null });
    reload();
  };
  $("order").onchange = () => {
    setAddress({ order: $("order").checked ? "review" : null });
    reload();
  };
  $("go-on").checked = Boolean(localStorage.getItem(GO_ON));
  $("go-on").onchange = () => ($("go-on").checked ? localStorage.setItem(GO_ON, "1") : localStorage.removeItem(GO_ON));
  searchField($("search"), around.clock, tried(async (params, words) => {
    parts.filters.set(params);
    setFilters(params, words);
    await reload();
    await loadDay();
  }));
}

function makeParts() {
  const { clock, palette } = around;
  const moved = (unix) => {
    $("at").textContent = clock.moment(unix);
    parts.lanes.play(unix);
  };
  const changed = ({ playing, rate }) => {
    $("play").firstChild.textContent = playing ? "Pause" : "Play";
    $("at").dataset.rate = rate === 1 ? "" : `${rate}×`;
  };
  const player = new Player($("stage"), $("stage-note"), clock, { moved, changed });
  const verdicts = new Verdicts(around, player, onSaid);
  const inbox = new Inbox(around, openEvent, foresee);
  const strip = new Strip($("strip"), palette, clock, (from, to) => parts.lanes.look(from, to));
  const pick = (id) => openById(id);
  const lanes = new Lanes($("lanes"), palette, clock, { seek: seekTo, pick, view: (from, to) => strip.mark(from, to) });
  parts = { player, verdicts, inbox, strip, lanes };
}

async function begin() {
  ahead("v1/me", firstPage("v1/streams"), "v1/models");
  if (!query().has("time_of_day")) ahead(pagePath(wanted())); // else it has to be known by whose clock
  const who = await showShell("review");
  around.clock = spokenClock();
  around.permissions = who.permissions;
  around.may = {
    label: await may("events:label"), review: await may("events:review"),
    keep: await may("incidents:write"), snooze: await may("rules:snooze"),
  };
  [around.streams, { items: around.models }] = await Promise.all([askAll("v1/streams"), ask("GET", "v1/models")]);
  around.names = new Map(around.streams.map(({ id, name }) => [id, name]));
  around.palette = Palette.of(around.models);
  $("zone").textContent = around.clock.zone;
  $("verdict-may").hidden = !around.may.label;
  makeParts();
  table = bindKeys(keyTable());
  $("boxes").setAttribute("aria-pressed", "true");
  listen();
  await firstLook();
  await tried(() => shown.loading)(); // what the filters offer comes after what is to be seen
  await offerFilters();
  forever(() => parts.inbox.look(), LOOK_MS);
}

/** What the address asks for, else the newest of what waits. */
async function firstLook() {
  $("seen-too").checked = query().has("all");
  $("order").checked = query().get("order") === "review";
  $("search").elements.q.value = query().get("q") ?? "";
  const id = query().get("event");
  await loadInbox(id ? ((await tried(() => ask("GET", `v1/events/${encodeURIComponent(id)}`))()) ?? null) : null);
  openFirst();
  if (!current()) await showDay(around.clock.day(Date.now() / 1000));
}

async function offerFilters() {
  const choices = await readChoices(around.streams, around.models);
  parts.filters = new Filters($("filters"), EVENT_FIELDS, around.clock, choices, tried(async (params) => {
    setFilters(params, "");
    await reload();
    await loadDay();
  }));
  parts.filters.set(filtersOf(location.search));
}

begin().catch((error) => show($("problem"), error));
