// Rules: what each looks for, what keeps it from finding it, silence for a while, and zones drawn on a still.

import { ask, askAll } from "./api.js";
import { $, act, alertLine, hide, make, show } from "./dom.js";
import { edit, offerChoices } from "./rules_editor.js";
import { nameStreamsBy, showIncidents, showTrial } from "./rules_found.js";
import { showShell } from "./shell.js";
import { moment } from "./times.js";
import { percent, rounded } from "./words.js";
import { editZones } from "./zones.js";

const SNOOZES = [[30, "for 30 minutes"], [120, "for 2 hours"], [480, "for 8 hours"], [1440, "for a day"], [10_080, "for a week"]];
const SEVERITY_CLASS = { alert: "bad", warning: "warn", info: "" };

let rights = {};
let streams = new Map(); // id → stream
let places = new Map(); // stream id → its zones

const nameOf = (id) => streams.get(id)?.name ?? "a deleted stream";

async function refresh() {
  const rules = await askAll("v1/rules");
  $("rules").replaceChildren(...rules.map(entry));
  $("no-rules").hidden = rules.length > 0;
}

// -- what a rule says

function wordsOf(rule) {
  const where = rule.streams.length ? rule.streams.map(nameOf).join(", ") : "all cameras";
  const zones = rule.zones ? `in ${rule.zones.any.join(" or ")}` : "";
  return [[looksFor(rule), zones, `at ${where}`].filter(Boolean).join(" "), timesOf(rule), rule.sinks.length ? "" : "nobody is told"].filter(Boolean).join(" · ");
}

function looksFor({ kind, actions, dwell_s: dwell, for_s: length, more_than: most, consensus }) {
  const held = dwell ? ` for ${rounded(dwell)} s` : "";
  const agreed = consensus ? `, ${percent(consensus.share)} of ${consensus.clips} clips agree` : "";
  switch (kind) {
    case "dwell": return `somebody who stays${held}`;
    case "absence": return `nobody for ${rounded(length)} s`;
    case "count": return `more than ${most} people${length ? ` for ${rounded(length)} s` : ""}`;
    default: return `${Object.entries(actions ?? {}).map(([label, least]) => `${label} from ${percent(least)}`).join(" or ")}${held}${agreed}`;
  }
}

function timesOf({ schedule }) {
  if (!schedule) return "";
  return `${schedule.windows.map(({ days, from, to }) => `${days} ${from}–${to}`).join(", ")} ${schedule.timezone}`;
}

function stateOf({ enabled, armed, snoozed_until: until }) {
  if (!enabled) return ["disabled", ""];
  if (until && Date.parse(until) > Date.now()) return [`silent until ${moment(until)}`, "warn"];
  return armed ? ["armed", "good"] : ["not armed at this time", ""];
}

function entry(rule) {
  const [state, kind] = stateOf(rule);
  const problem = alertLine();
  const path = `v1/rules/${rule.id}`;
  const button = (text, allowed, work, properties = {}) =>
    act(make("button", { type: "button", hidden: !allowed, aria: { label: `${text}: ${rule.name}` }, ...properties }, text), problem, work);
  const changed = (work) => async () => {
    if ((await work()) !== false) await refresh();
  };
  const actions = [
    button("Incidents", rights.incidents, () => showIncidents(rule)),
    button("Try on the last 24 h", rights.write, () => showTrial(rule.name, (span) => ask("POST", `${path}/dry-run`, span))),
    button("Edit", rights.write, async () => edit(rule, refresh)),
    button(rule.enabled ? "Disable" : "Enable", rights.write, changed(() => ask("PATCH", path, { enabled: !rule.enabled }))),
    ...silence(rule, path, button, changed),
    button("Delete", rights.write, changed(async () => window.confirm(`Delete ${rule.name}? Its incidents stay.`) && ask("DELETE", path)), { className: "danger" }),
  ];
  return make("li", { id: rule.id, tabIndex: -1 },
    make("div", { className: "entry" },
      make("span", { className: "what" }, rule.name),
      make("span", { className: `chip ${kind}` }, state),
      make("span", { className: `chip ${SEVERITY_CLASS[rule.severity]}` }, rule.severity),
      make("span", { className: "soft grow" }, wordsOf(rule))),
    ...rule.problems.map(({ problem: words }) => make("p", { className: "wrong" }, `As things are: ${words}`)),
    make("div", { className: "actions" }, ...actions),
    problem);
}

/** A choice of times, or the end of the silence that there is. */
function silence(rule, path, button, changed) {
  if (rule.snoozed_until && Date.parse(rule.snoozed_until) > Date.now()) {
    return [button("End silence", rights.snooze, changed(() => ask("DELETE", `${path}/snooze`)))];
  }
  const times = make("select", { hidden: !rights.snooze, aria: { label: `Silence: ${rule.name}` } },
    ...SNOOZES.map(([minutes, text]) => make("option", { value: minutes }, text)));
  return [times, button("Silence", rights.snooze, changed(() => ask("POST", `${path}/snooze`, { minutes: Number(times.value) })))];
}

// -- zones

async function refreshPlaces() {
  streams = new Map((await askAll("v1/streams")).map((stream) => [stream.id, stream]));
  const zones = await Promise.all([...streams.keys()].map((id) => ask("GET", `v1/streams/${id}/zones`)));
  places = new Map([...streams.keys()].map((id, place) => [id, zones[place].zones]));
  $("places").replaceChildren(...[...streams.values()].map(placeRow));
}

function placeRow(stream) {
  const problem = alertLine();
  const button = make("button", { type: "button", aria: { label: `Zones of ${stream.name}` } }, rights.zones ? "Draw zones" : "Show zones");
  const names = places.get(stream.id).map(({ name }) => name).join(", ");
  return make("li", {},
    make("span", { className: "what" }, stream.name),
    make("span", { className: "soft grow" }, names || "no zone"),
    act(button, problem, () => editZones(stream, rights.zones)), problem);
}

async function begin() {
  const { permissions } = await showShell("rules");
  const may = (permission) => permissions.includes(permission);
  rights = { write: may("rules:write"), snooze: may("rules:snooze"), zones: may("zones:write"), incidents: may("incidents:read") };
  nameStreamsBy(nameOf);
  await refreshPlaces();
  if (rights.write) await offerChoices([...streams.values()], places);
  $("new-rule").hidden = !rights.write;
  $("new-rule").onclick = () => edit(null, refresh);
  $("zones").addEventListener("close", async () => {
    await refreshPlaces();
    if (rights.write) await offerChoices([...streams.values()], places);
    await refresh(); // a rule may miss a zone that is there now
  });
  await refresh();
  hide($("problem"));
  const wanted = location.hash && document.getElementById(location.hash.slice(1));
  if (wanted) wanted.focus();
}

begin().catch((error) => show($("problem"), error));
