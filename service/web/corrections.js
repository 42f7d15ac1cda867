// Corrections: what people said, each with the clip of crops that was stored of it, or why there is none.

import { ask, askAll, at } from "./api.js";
import { $, make, show } from "./dom.js";
import { verdictChip } from "./event_words.js";
import { Filters, filtersOf } from "./filters.js";
import { LongList } from "./long_list.js";
import { Palette } from "./palette.js";
import { showShell } from "./shell.js";
import { spokenClock, unixOf } from "./times.js";

const FIELDS = [
  { name: "stream", title: "Camera", kind: "pick" },
  { name: "label", title: "It was", kind: "pick" },
  { name: "split", title: "For", kind: "pick", choices: [["train", "training"], ["audit", "measuring"]] },
  { name: "clip", title: "Clip", kind: "pick", choices: [["stored", "stored"], ["pending", "on its way"], ["none", "none"]] },
];

let around = {}; // clock, palette, names

/** Few of many are looked at: no more than the first picture of each is loaded. */
function clipOf({ id }) {
  const src = at(`v1/corrections/${encodeURIComponent(id)}/clip.mp4`);
  const video = make("video", { muted: true, loop: true, playsInline: true, preload: "metadata", controls: true, src });
  video.setAttribute("aria-label", "Clip that networks learn from");
  video.onerror = () => video.replaceWith(make("p", { className: "no-clip soft" },
    "This browser does not play the clip's kind of video. ", make("a", { href: src, download: `${id}.mp4` }, "Download it")));
  return video;
}

const CLIP_WORDS = {
  pending: (reason) => (reason ? `The clip waits: ${reason}` : "The clip is on its way."),
  none: (reason) => `No clip: ${reason}`,
};

function rowOf(correction) {
  const { clock, palette, names } = around;
  const { said, label, split, clip, clip_reason: reason } = correction;
  const words = make("div", { className: "clip-words" },
    make("span", {}, palette.swatch(said), make("span", { className: "what" }, said), " said the network "),
    make("span", {}, ...verdictChip(correction), label && correction.verdict === "right" ? ` ${label}` : ""),
    make("span", { className: "soft" }, `${names.get(correction.stream_id) ?? "deleted camera"}, person ${correction.track_id}`),
    make("span", { className: "soft" }, `${correction.by}, ${clock.moment(unixOf(correction.at))}`),
    make("span", { className: "soft" }, split === "audit" ? "measures networks" : "for training"),
    make("a", { href: at(`review?event=${encodeURIComponent(correction.event_id)}`), aria: { label: `Review ${said}, person ${correction.track_id}` } }, "Review"));
  const picture = clip === "stored" ? clipOf(correction) : make("p", { className: "no-clip soft" }, CLIP_WORDS[clip](reason));
  return make("li", {}, picture, words);
}

async function open() {
  await showShell("corrections");
  const [streams, { items: models }] = await Promise.all([askAll("v1/streams"), ask("GET", "v1/models")]);
  around = { clock: spokenClock(), palette: Palette.of(models), names: new Map(streams.map(({ id, name }) => [id, name])) };
  $("zone").textContent = around.clock.zone;
  const wanted = () => filtersOf(location.search, FIELDS);
  const list = new LongList("corrections", "v1/corrections", wanted, rowOf);
  const labels = [...new Set(models.flatMap((model) => model.labels))].map((label) => [label, label]);
  const choices = { stream: streams.map(({ id, name }) => [id, name]), label: labels };
  const filters = new Filters($("filters"), FIELDS, around.clock, choices, (params) => {
    list.goTo(params);
    list.begin();
  });
  window.onpopstate = () => {
    filters.set(wanted());
    list.begin();
  };
  filters.set(wanted());
  await list.begin();
}

open().catch((error) => show($("problem"), error));
