// What of the events is looked for: fields that stand in the page's address under the names that the API gives them, so
// that a search can be sent to somebody, and the words that fill them.

import { ask, askAll } from "./api.js";
import { $, alertLine, hide, leftByEscape, make, show } from "./dom.js";
import { rfc3339, unixOf } from "./times.js";

const MANY = 12; // choices; beyond it there is a field to narrow them

const VERDICTS = [["none", "no verdict"], ["right", "right"], ["wrong", "wrong"], ["unsure", "unsure"]];
const EITHER = (yes, no) => [["", "either"], ["true", yes], ["false", no]];

/** name in the address and the API → how it is asked for. */
export const EVENT_FIELDS = [
  { name: "stream", title: "Camera", kind: "pick" },
  { name: "action", title: "Action", kind: "pick" },
  { name: "zone", title: "Zone", kind: "pick" },
  { name: "rule", title: "Rule", kind: "pick" },
  { name: "model", title: "Model", kind: "pick" },
  { name: "verdict", title: "Verdict", kind: "pick", choices: VERDICTS },
  { name: "since", title: "From", kind: "time" },
  { name: "until", title: "Until", kind: "time" },
  { name: "time_of_day", title: "Time of day", kind: "hours" },
  { name: "min_confidence", title: "Confidence from, %", kind: "percent" },
  { name: "max_confidence", title: "to, %", kind: "percent" },
  { name: "min_duration_s", title: "At least, s", kind: "seconds" },
  { name: "track", title: "Person", kind: "number" },
  { name: "reviewed", title: "Reviewed by you", kind: "choice", choices: EITHER("reviewed", "not yet") },
  { name: "audit_sample", title: "Audit sample", kind: "choice", choices: EITHER("only", "without") },
];

/** In which order events come: a field of the page that has no other switch for it. */
export const ORDER_FIELD = { name: "order", title: "Order", kind: "choice", choices: [["", "newest first"], ["review", "most useful first"]] };

/** → what of an address is a filter, in the order that it has there. */
export function filtersOf(search, fields = EVENT_FIELDS) {
  const names = new Set(fields.map(({ name }) => name));
  const given = [...new URLSearchParams(search)].filter(([name, value]) => names.has(name) && value !== "");
  return new URLSearchParams(given);
}

/** → the same as the API is asked, which has to know by whose clock it is so late. */
export function asked(params, clock) {
  return params.has("time_of_day") ? new URLSearchParams([...params, ["timezone", clock.zone]]) : params;
}

/** → choices that the service knows, by field. Who may not see rules has none to choose from. */
export async function readChoices(streams, models) {
  const rules = await askAll("v1/rules").catch(() => []);
  const labels = [...new Set(models.flatMap((model) => model.labels))];
  return {
    stream: streams.map(({ id, name }) => [id, name]),
    action: labels.map((label) => [label, label]),
    rule: rules.map(({ id, name }) => [id, name]),
    model: (await Promise.all(models.map(versionsOf))).flat().map((name) => [name, name]),
    zone: (await Promise.all(streams.map(zonesOf))).flat().map((name) => [name, name]),
  };
}

/** → by what names events tell of a model, the newest version first. */
async function versionsOf({ id }) {
  const { items } = await ask("GET", `v1/models/${encodeURIComponent(id)}/versions`).catch(() => ({ items: [] }));
  return items.length ? items.map(({ version }) => version) : [id];
}

async function zonesOf({ id }) {
  const zones = await ask("GET", `v1/streams/${encodeURIComponent(id)}/zones`).catch(() => ({ zones: [] }));
  return zones.zones.map(({ name }) => name);
}

export class Filters {
  /** `element` gets the fields; `changed(params)` is told when somebody changes one. */
  constructor(element, fields, clock, choices, changed) {
    this.changed = () => changed(this.params);
    this.fields = fields.map((field) => ({ ...field, ...MAKERS[field.kind](field, clock, choices, this.changed) }));
    const clear = make("button", { type: "button", onclick: () => this.clear() }, "Clear all");
    element.replaceChildren(...this.fields.map(({ element: each }) => each), clear);
  }

  set(params) {
    for (const { name, set } of this.fields) set(params.getAll(name));
  }

  get params() {
    return new URLSearchParams(this.fields.flatMap(({ name, values }) => values().map((value) => [name, value])));
  }

  clear() {
    this.set(new URLSearchParams());
    this.changed();
  }
}

const labelled = (title, input) => make("label", { className: "filter" }, title, input);

/** A field of one value; `toText` and `toValue` are between the field and the API. */
function single({ title }, input, changed, toText = (value) => value, toValue = (text) => text) {
  input.onchange = () => input.checkValidity() && changed();
  return {
    element: labelled(title, input),
    set: ([value]) => (input.value = value === undefined ? "" : toText(value)),
    values: () => (input.value.trim() === "" || !input.checkValidity() ? [] : [String(toValue(input.value.trim()))]),
  };
}

const number = (properties) => make("input", { type: "number", min: 0, step: "any", inputMode: "decimal", ...properties });
const twoSigns = (value) => String(Math.round(Number(value) * 1e4) / 1e4);

const MAKERS = {
  pick: (field, _, choices, changed) => pick(field, field.choices ?? unique(choices[field.name] ?? []), changed),
  choice: (field, _, __, changed) =>
    single(field, make("select", {}, ...field.choices.map(([value, text]) => make("option", { value }, text))), changed),
  seconds: (field, _, __, changed) => single(field, number({ max: 86_400 }), changed),
  number: (field, _, __, changed) => single(field, number({ step: 1, inputMode: "numeric" }), changed),
  percent: (field, _, __, changed) =>
    single(field, number({ max: 100 }), changed, (value) => twoSigns(100 * value), (text) => twoSigns(text / 100)),
  time: (field, clock, _, changed) => time(field, clock, changed),
  hours: (field, _, __, changed) => hours(field, changed),
};

const unique = (pairs) => [...new Map(pairs).entries()];

/** The field knows seconds and no offset: the exact moment is kept until somebody changes it. */
function time({ name, title }, clock, changed) {
  const input = make("input", { type: "datetime-local", step: 1 });
  let exact = null;
  input.onchange = () => {
    exact = clock.fromLocal(input.value, name === "until");
    changed();
  };
  const set = ([value]) => {
    const unix = value === undefined ? NaN : unixOf(value);
    exact = Number.isFinite(unix) ? unix : null;
    input.value = exact === null ? "" : clock.local(exact);
  };
  return { element: labelled(title, input), set, values: () => (exact === null ? [] : [rfc3339(exact)]) };
}

/** → a time as its field takes it, which knows no 24:00; to the API an end of 00:00 is the end of the day. */
const dayTime = (text) => text.trim().padStart(5, "0").replace("24:00", "00:00");

/** “22:00-06:00”, also across midnight. */
function hours({ title }, changed) {
  const [from, to] = ["from", "to"].map((word) => make("input", { type: "time", aria: { label: `${title} ${word}` } }));
  const both = () => from.value && to.value;
  for (const input of [from, to]) input.onchange = () => (both() || !(from.value || to.value)) && changed();
  const set = ([value]) => ([from.value, to.value] = value ? value.split("-").map(dayTime) : ["", ""]);
  const element = make("div", { className: "filter", role: "group", aria: { label: title } }, title, make("span", { className: "pair" }, from, "–", to));
  return { element, set, values: () => (both() ? [`${from.value}-${to.value}`] : []) };
}

/** Any number of choices. One that is in the address but not known here stays, so that a link means what it says. */
function pick({ title }, known, changed) {
  const list = make("ul", { className: "choices" });
  const summary = make("summary", {});
  const narrow = make("input", { type: "search", placeholder: "narrow…", aria: { label: `Narrow ${title}` }, hidden: known.length <= MANY });
  const chosen = new Set();
  const texts = new Map(known);
  const tell = () => {
    const names = [...chosen].map((value) => texts.get(value) ?? value);
    summary.replaceChildren(make("span", { className: "soft" }, `${title} `), names.length ? names.join(", ") : "all");
  };
  const row = ([value, text]) => {
    const box = make("input", { type: "checkbox", checked: chosen.has(value) });
    box.onchange = () => {
      if (box.checked) chosen.add(value);
      else chosen.delete(value);
      tell();
      changed();
    };
    return make("li", {}, make("label", { className: "check" }, box, text));
  };
  const draw = () => {
    const all = [...known, ...[...chosen].filter((value) => !texts.has(value)).map((value) => [value, value])];
    const wanted = all.filter(([, text]) => text.toLowerCase().includes(narrow.value.toLowerCase()));
    list.replaceChildren(...wanted.map(row));
  };
  narrow.oninput = draw;
  const set = (values) => {
    chosen.clear();
    for (const value of values) chosen.add(value);
    tell();
    draw();
  };
  const none = make("p", { className: "soft", hidden: known.length > 0 }, "none");
  const element = make("details", { className: "pick", name: "pick" }, summary, make("div", { className: "pick-list" }, narrow, list, none));
  document.addEventListener("pointerdown", ({ target }) => element.contains(target) || (element.open = false));
  element.onkeydown = (press) => {
    if (press.key !== "Escape" || !element.open) return;
    element.open = false;
    summary.focus();
  };
  return { element, set, values: () => [...chosen] };
}

/** The field with words: the service says what it understood of them, and that fills the fields. */
export function searchField(form, clock, found) {
  const problem = alertLine();
  const said = make("p", { className: "understood soft", role: "status" });
  form.append(said, problem);
  form.onsubmit = async (submit) => {
    submit.preventDefault();
    hide(problem);
    const words = form.elements.q.value.trim();
    try {
      const answer = words ? await ask("GET", `v1/search?${new URLSearchParams({ q: words, timezone: clock.zone })}`) : { query: {}, understood: [], rest: "" };
      said.replaceChildren(...understood(answer));
      found(paramsOf(answer.query), words);
      form.elements.q.blur(); // keys act again
    } catch (error) {
      show(problem, error);
    }
  };
  leftByEscape(form.elements.q);
}

function paramsOf(query) {
  const pairs = Object.entries(query).flatMap(([name, values]) => values.map((value) => [name, value]));
  return filtersOf(new URLSearchParams(pairs), [...EVENT_FIELDS, ORDER_FIELD]);
}

function understood({ understood: parts, rest }) {
  const chips = parts.map(({ words, means }) => make("span", { className: "chip" }, `${words}: ${means}`));
  return rest ? [...chips, make("span", { className: "warn" }, `not understood: ${rest}`)] : chips;
}

export const focusSearch = () => {
  $("search").elements.q.focus();
  $("search").elements.q.select();
};
