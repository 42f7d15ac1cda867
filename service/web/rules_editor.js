// The form of one rule: all fields of the API, refusals at the fields, a try on the last day before anything is stored.

import { ask, askAll } from "./api.js";
import { $, act, hide, make, show } from "./dom.js";
import { clearFields, markFields } from "./fields.js";
import { Lines } from "./lines.js";
import { showTrial } from "./rules_found.js";

const form = $("editor");
const NUMBERS = ["group_s", "cooldown_s", "max_age_s"];
const USUAL = { name: "", kind: "action", severity: "alert", enabled: true, streams: [], actions: {}, zones: null, dwell_s: 0, for_s: 60,
  more_than: 5, consensus: null, group_s: 15, cooldown_s: 60, max_per_hour: null, schedule: null, clip: { pre_s: 5, post_s: 5 }, sinks: [], max_age_s: 3600 };

let edited = null; // id of the rule that is changed, null: it is new
let done = async () => {};

const number = (input) => (input.value === "" ? null : Number(input.value));
const labelled = (text, input) => make("label", {}, text, input);

const actions = new Lines($("actions"), $("add-action"), ([label, least] = ["", 0.7]) => {
  const name = make("input", { value: label, maxLength: 200, spellcheck: false });
  name.setAttribute("list", "labels");
  const value = make("input", { type: "number", min: 0.01, max: 1, step: 0.01, value: least });
  return { parts: [labelled("Action", name), labelled("from", value)], read: () => [name.value.trim(), number(value)] };
});
const zones = new Lines($("zones-of-rule"), $("add-zone"), (zone = "") => {
  const name = make("input", { value: zone, maxLength: 200 });
  name.setAttribute("list", "zone-choices");
  return { parts: [labelled("Zone", name)], read: () => name.value.trim() };
});
const windows = new Lines($("windows"), $("add-window"), (window = { days: "mon-sun", from: "22:00", to: "06:00" }) => {
  const inputs = { days: make("input", { value: window.days, maxLength: 40, spellcheck: false }),
    from: make("input", { value: window.from, maxLength: 5, size: 6 }), to: make("input", { value: window.to, maxLength: 5, size: 6 }) };
  const parts = Object.entries(inputs).map(([name, input]) => labelled(name, input));
  return { parts, read: () => Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.value.trim()])) };
});

/** Shows the form for a rule as the API has it, or for a new one; `after` is called when it was saved. */
export function edit(rule, after) {
  edited = rule?.id ?? null;
  done = after;
  fill({ ...USUAL, ...rule });
  clearFields(form);
  hide($("editor-error"));
  $("editing-title").textContent = rule ? `Rule: ${rule.name}` : "New rule";
  $("editing").hidden = false;
  $("editing-title").focus();
}

function fill(rule) {
  for (const name of ["name", "kind", "severity", "dwell_s", "for_s", "more_than", "max_per_hour", ...NUMBERS]) form.elements[name].value = rule[name] ?? "";
  form.elements.enabled.checked = rule.enabled;
  actions.set(Object.entries(rule.actions ?? {}));
  if (!actions.lines.length) actions.add();
  zones.set(rule.zones?.any ?? []);
  windows.set(rule.schedule?.windows ?? [undefined]);
  form.timezone.value = rule.schedule?.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const name of ["consensus", "schedule", "clip"]) form.elements[name].checked = rule[name] !== null;
  for (const name of ["clips", "share"]) form.elements[name].value = rule.consensus?.[name] ?? form.elements[name].defaultValue;
  for (const name of ["pre_s", "post_s"]) form.elements[name].value = rule.clip?.[name] ?? 5;
  for (const box of form.querySelectorAll("[name=streams], [name=sinks]")) box.checked = rule[box.name].includes(box.value);
  showParts();
}

/** Only what the kind of rule knows, and what is switched on. */
function showParts() {
  for (const part of form.querySelectorAll("[data-kinds]")) part.hidden = !part.dataset.kinds.split(" ").includes(form.kind.value);
  for (const part of form.querySelectorAll("[data-when]")) part.hidden = !form.elements[part.dataset.when].checked;
}

const ofKind = (kinds, value, otherwise) => (kinds.includes(form.kind.value) ? value : otherwise);
const chosen = (name) => [...form.querySelectorAll(`[name=${name}]:checked`)].map(({ value }) => value);

/** → the rule as the API takes it: what its kind does not know is empty. */
function body() {
  const given = zones.values().filter(Boolean);
  return {
    name: form.elements.name.value.trim(),
    kind: form.kind.value,
    severity: form.severity.value,
    enabled: form.elements.enabled.checked,
    streams: chosen("streams"),
    actions: ofKind(["action"], Object.fromEntries(actions.values().filter(([label]) => label)), null),
    zones: given.length ? { any: given } : null,
    dwell_s: ofKind(["action", "dwell"], number(form.dwell_s) ?? 0, 0),
    for_s: ofKind(["absence", "count"], number(form.for_s) ?? 0, 0),
    more_than: ofKind(["count"], number(form.more_than), null),
    consensus: ofKind(["action"], form.consensus.checked ? { clips: number(form.clips), share: number(form.share) } : null, null),
    ...Object.fromEntries(NUMBERS.map((name) => [name, number(form.elements[name])])),
    max_per_hour: number(form.max_per_hour),
    schedule: form.schedule.checked ? { timezone: form.timezone.value.trim(), windows: windows.values() } : null,
    clip: form.clip.checked ? { pre_s: number(form.pre_s), post_s: number(form.post_s) } : null,
    sinks: chosen("sinks"),
  };
}

async function refusing(work, inside = "") {
  clearFields(form);
  hide($("editor-error"));
  try {
    await work();
  } catch (error) {
    show($("editor-error"), error);
    markFields(form, error.fields ?? [], inside);
  }
}

form.onsubmit = async (event) => {
  event.preventDefault();
  await refusing(async () => {
    if (edited) await ask("PATCH", `v1/rules/${edited}`, body());
    else await ask("POST", "v1/rules", body());
    $("editing").hidden = true;
    await done();
  });
};
form.onchange = showParts;
$("cancel-rule").onclick = () => ($("editing").hidden = true);
act($("try-rule"), $("editor-error"), () => refusing(async () => {
  const rule = body();
  await showTrial(rule.name || "the new rule", (span) => ask("POST", "v1/rules/dry-run", { ...span, rule }));
}, /^rule\./));

// -- what can be chosen

const choice = (name, value, text) => make("label", { className: "check" }, make("input", { type: "checkbox", name, value }), ` ${text}`);
const options = (values) => [...new Set(values)].map((value) => make("option", { value }));

/** `streams` as the API shows them, `places`: stream id → its zones. */
export async function offerChoices(streams, places) {
  const kept = new Set([...chosen("streams"), ...chosen("sinks")]); // somebody may be at it
  const models = await askAll("v1/models");
  const sinks = await askAll("v1/sinks");
  const watched = new Set(streams.map(({ model }) => model));
  $("labels").replaceChildren(...options(models.filter(({ id }) => watched.has(id) || !watched.size).flatMap(({ labels }) => labels)));
  $("zone-choices").replaceChildren(...options([...places.values()].flat().map(({ name }) => name)));
  $("zone-names").replaceChildren(...options(Intl.supportedValuesOf?.("timeZone") ?? []));
  $("rule-streams").replaceChildren(...streams.map(({ id, name }) => choice("streams", id, name)));
  $("rule-sinks").replaceChildren(...sinks.map(({ id, name }) => choice("sinks", id, name)));
  for (const box of form.querySelectorAll("[name=streams], [name=sinks]")) box.checked = kept.has(box.value);
  $("no-rule-sinks").hidden = sinks.length > 0;
}
