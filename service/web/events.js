// Events: all of them, as far as the filters in the address leave them in; each leads to the review of it.

import { ahead, ask, askAll, at, firstPage } from "./api.js";
import { $, make, show } from "./dom.js";
import { lengthText, verdictChip } from "./event_words.js";
import { EVENT_FIELDS, Filters, ORDER_FIELD, asked, filtersOf, focusSearch, readChoices, searchField } from "./filters.js";
import { bindKeys, showHelp } from "./keys.js";
import { LongList } from "./long_list.js";
import { Palette } from "./palette.js";
import { showShell } from "./shell.js";
import { spokenClock, unixOf } from "./times.js";
import { percent } from "./words.js";

const FIELDS = [...EVENT_FIELDS, ORDER_FIELD];

let around = {}; // clock, palette, names
let filters = null;

/** Fields and list as the address says. */
function begin(list) {
  const params = filtersOf(location.search, FIELDS);
  filters.set(params);
  $("search").elements.q.value = new URLSearchParams(location.search).get("q") ?? "";
  $("to-review").href = at(`review?${new URLSearchParams([...params, ["all", "1"]])}`);
  return list.begin();
}

function rowOf(event) {
  const { clock, palette, names } = around;
  const start = unixOf(event.started_at);
  const cell = (title, ...content) => make("td", { data: { title } }, ...content);
  const link = make("a", { href: at(`review?event=${encodeURIComponent(event.id)}`) }, `${clock.date(start)} ${clock.time(start)}`);
  const marks = [...verdictChip(event.verdict), ...(event.reviewed ? [make("span", { className: "soft" }, "reviewed")] : [])];
  if (event.audit_sample) marks.push(make("span", { className: "chip" }, "audit sample"));
  return make("tr", { className: event.reviewed ? "seen" : "" },
    make("th", { scope: "row" }, link),
    cell("Action", palette.swatch(event.action), make("span", { className: "what" }, event.action)),
    cell("Person", String(event.track_id)),
    cell("Camera", [names.get(event.stream_id) ?? "deleted camera", ...event.zones].join(", ")),
    cell("Confidence", percent(event.peak_confidence)),
    cell("Length", lengthText(event)),
    cell("Verdict", ...marks),
    cell("Model", event.model ?? ""));
}

async function open() {
  ahead("v1/me", firstPage("v1/streams"), "v1/models");
  await showShell("events");
  const [streams, { items: models }] = await Promise.all([askAll("v1/streams"), ask("GET", "v1/models")]);
  around = { clock: spokenClock(), palette: Palette.of(models), names: new Map(streams.map(({ id, name }) => [id, name])) };
  $("zone").textContent = around.clock.zone;
  $("more-filters").open = matchMedia("(min-width: 701px)").matches; // on a phone they would hide what was found
  const list = new LongList("events", "v1/events", () => asked(filtersOf(location.search, FIELDS), around.clock), rowOf);
  const look = (params, words) => {
    list.goTo(params, words);
    begin(list);
  };
  window.onpopstate = () => begin(list);
  searchField($("search"), around.clock, look);
  const table = bindKeys([
    { group: "Page", keys: ["/"], words: "Search", does: focusSearch },
    { group: "Page", keys: ["?"], words: "All keys", text: "Keys", does: () => showHelp(table), bar: "bar" },
  ]);
  filters = new Filters($("filters"), FIELDS, around.clock, await readChoices(streams, models), (params) => look(params, ""));
  await begin(list);
}

open().catch((error) => show($("problem"), error));
