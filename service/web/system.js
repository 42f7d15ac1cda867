// How the service does: each stream, what the machine affords, what waits and what is counted, disk and database.

import { ask } from "./api.js";
import { $, hide, make, show } from "./dom.js";
import { sleep, showShell } from "./shell.js";
import { moment } from "./times.js";
import { bytes, count, duration, facts, meter, percent, rounded, table } from "./words.js";

const POLL_MS = 2000;
const GB = 1e9;
const STATE_CLASS = { running: "good", connecting: "warn", reconnecting: "warn", failed: "bad", stopped: "" };
const CAUSES = {
  source: "at the camera", presenter: "at the overlay", recorder: "at the recorder", recording_paused: "while recording was paused",
  clip_buffer: "of people beyond the buffers", tracks_message: "live messages",
};
const HEADS = ["Stream", "State", "Pictures a second", "People", "Label age", "Detection", "Network", "Left out", "Restarts", "Recorded"];

const NODE_HEADS = ["Node", "State", "Site", "Streams", "Load", "Cores", "Recordings in the bucket", "Version"];

async function refresh() {
  const system = await ask("GET", "v1/system");
  const age = (Date.now() - Date.parse(system.started_at)) / 1000;
  const runs = system.machine ? `, Python ${system.machine.python}, ${count(system.machine.subscribers, "live subscriber")}` : "";
  $("about").textContent = `Actoscope ${system.version}, up for ${duration(age)}${runs}`;
  drawStreams(system);
  drawDisk(system);
  $("machine").hidden = system.machine === null;
  if (system.machine) drawMachine(system.machine);
  drawCluster(system.machine?.cluster ?? null);
}

// -- streams

function drawStreams({ streams, recorded }) {
  const stored = new Map(recorded.map((each) => [each.stream_id, each]));
  keepScroll($("streams"), table("Streams", HEADS, streams.map((stream) => streamRow(stream, stored.get(stream.id)))));
  $("no-streams").hidden = streams.length > 0;
  $("streams").hidden = streams.length === 0;
}

function streamRow(stream, stored) {
  const running = stream.state === "running";
  const state = make("span", { className: `chip ${STATE_CLASS[stream.state] ?? ""}` }, stream.state);
  const words = running ? (stream.labels ?? "") : stream.reason;
  return [
    stream.name,
    words ? [state, make("span", { className: "soft" }, ` ${words}`)] : state,
    running ? `${rounded(stream.fps_out)} of ${rounded(stream.fps_in)}` : "–",
    running ? String(stream.tracks) : "–",
    stream.label_age_ms === null ? "–" : `${rounded(stream.label_age_ms / 1000)} s`,
    running ? detection(stream) : "–",
    running ? [network(stream), make("span", { className: "soft" }, ` ${stream.tier_reason}`)] : stream.model,
    drops(stream.drops),
    String(stream.restarts),
    [recordingWord(stream), stored ? `${bytes(stored.bytes)} in ${count(stored.files, "file")} since ${moment(stored.oldest_at)}` : ""].filter(Boolean).join(", ") || "–",
  ];
}

function detection({ detection_stride: stride, detector_image_size: size }) {
  return [stride > 1 ? `each ${ordinal(stride)} picture` : "every picture", size ? `at ${size}` : ""].filter(Boolean).join(" ");
}

const ordinal = (number) => (number === 2 ? "2nd" : number === 3 ? "3rd" : `${number}th`);
const network = (stream) => `${stream.model}, ${stream.tier_running}, a clip each ${rounded(stream.clip_hop_s)} s`;
const recordingWord = ({ recording }) => ({ off: "", on: "recording", paused: "paused: the disk is full" })[recording];

function drops(byCause) {
  const parts = Object.entries(byCause).filter(([, number]) => number).map(([cause, number]) => `${number} ${CAUSES[cause] ?? cause.replaceAll("_", " ")}`);
  return parts.join(", ") || "nothing";
}

// -- nodes

function drawCluster(cluster) {
  $("cluster").hidden = cluster === null;
  if (cluster === null) return;
  const { leader, leads, items } = cluster;
  const who = leader === null ? "Nobody leads." : `${leader.name} leads, epoch ${leader.epoch}${leads ? "" : `: ${leader.url}`}.`;
  $("leader").textContent = items.length ? who : `${who} No node has joined yet.`;
  keepScroll($("nodes"), table("Nodes", NODE_HEADS, items.map(nodeRow)));
}

function nodeRow(node) {
  const [word, look] = !node.alive ? ["silent", "bad"] : node.draining ? ["draining", "warn"] : node.ready ? ["ready", "good"] : ["loading", "warn"];
  const state = make("span", { className: `chip ${look}` }, word);
  const words = node.problem || (node.alive ? "" : `last heard of ${moment(node.seen_at)}`);
  return [
    node.id,
    words ? [state, make("span", { className: "soft" }, ` ${words}`)] : state,
    node.site || "–",
    `${node.leases} of ${node.capacity}`,
    percent(node.load),
    `${node.cores}${node.gpus ? `, ${count(node.gpus, "GPU")}` : ""}${node.lends ? ", lends" : ""}`,
    node.bucket ? sentBy(node.bucket) : "–",
    node.version,
  ];
}

function sentBy({ waiting, waiting_bytes: size, oldest_s: oldest, missing, problem }) {
  const parts = [waitingWords(waiting, size, oldest) || "all of them", ...(missing ? [`${count(missing, "file")} missing`] : [])];
  const told = parts.join(", ");
  return problem ? [told, make("span", { className: "warn" }, ` ${problem}`)] : told;
}

const waitingWords = (waiting, size, oldest) =>
  (waiting ? `${count(waiting, "file")} (${bytes(size)}) wait, the oldest for ${Math.ceil(oldest / 60)} min` : "");

// -- the machine

function drawMachine({ budget, inference, queues, counters, database }) {
  drawBudget(budget);
  const restarts = inference.restarts ? `, ${count(inference.restarts, "restart")}` : "";
  $("networks").replaceChildren(
    make("p", { className: inference.ready ? "good" : "warn" }, `${inference.ready ? "ready" : inference.reason}${restarts}`),
    facts(Object.entries(inference.parts)),
  );
  $("queues").replaceChildren(facts([
    ...Object.entries(queues).map(([name, value]) => [name.replaceAll("_", " "), rounded(value, 2)]),
    ["database", `${database.kind === "sqlite" ? "SQLite" : "PostgreSQL"}, ${bytes(database.bytes)}`],
  ]));
  const counted = Object.entries(counters).sort(([a], [b]) => a.localeCompare(b));
  $("counters").replaceChildren(facts(counted.map(([name, value]) => [nameOf(name), Math.round(value).toLocaleString()])));
}

const nameOf = (counter) => counter.replace("_total", "").replaceAll("_", " ").replace(":", ": ");

function drawBudget(budget) {
  if (budget === null) return $("budget").replaceChildren(make("p", { className: "empty" }, "Nothing is planned yet."));
  const most = Math.max(budget.cores, budget.need);
  const others = budget.taken === null ? "" : `, everything else takes ${rounded(budget.taken, 2)}`;
  $("budget").replaceChildren(
    make("p", {}, rungOf(budget)),
    meter("Cores needed", budget.need, most, `${rounded(budget.need, 2)} of ${rounded(budget.capacity, 2)} cores that are free for networks`, budget.capacity),
    make("p", { className: "soft" }, `${rounded(budget.cores, 2)} cores${others}; ${budget.reason}`),
    make("h3", {}, "What work costs here"),
    table("What work costs here", ["Work", "CPU", "Thread"], budget.costs.map((each) =>
      [each.work, `${rounded(1000 * each.cpu_s)} ms`, `${rounded(1000 * each.wall_s)} ms`])),
  );
}

function rungOf({ step, steps, tier, hop_s: hop, settled_hop_s: settled, detector_image_size: size, detections_per_s: rate, poses_hz: poses }) {
  const place = step === 0 ? "Everything fits" : `Rung ${step} of ${steps - 1} down`;
  return [
    `${place}: the ${tier} network`, `a clip of a person each ${rounded(hop, 2)} s (${rounded(settled, 2)} s who stands still)`,
    `detector at ${size} pixels`, rate === null ? "every picture" : `at most ${rounded(rate)} detections a second`,
    poses ? `joints in ${rounded(poses)} pictures a second` : "",
  ].filter(Boolean).join(", ");
}

// -- disk

function drawDisk({ machine, recorded, incidents, incidents_kept: kept }) {
  const total = recorded.reduce((sum, each) => sum + each.bytes, 0);
  const files = recorded.reduce((sum, each) => sum + each.files, 0);
  const parts = [facts([
    ["Recordings", `${bytes(total)} in ${count(files, "file")}`],
    ["Incidents", `${incidents.toLocaleString()}, of which ${kept.toLocaleString()} are kept for ever`],
    ...(machine ? limits(machine.retention) : []),
    ...(machine?.bucket ? bucketFacts(machine.bucket) : []),
  ])];
  if (machine?.disk) parts.unshift(diskMeter(machine.disk));
  if (machine) parts.push(meter("Room for recordings", total, machine.retention.max_gb * GB, `${percent(total / (machine.retention.max_gb * GB))} of what recordings may take`));
  $("disk").replaceChildren(...parts);
}

function diskMeter({ free_bytes: free, size_bytes: size, min_free_bytes: floor }) {
  const words = `${bytes(free)} of ${bytes(size)} free; recording pauses below ${bytes(floor)}`;
  return meter("Disk in use", size - free, size, words, size - floor);
}

const limits = (retention) => [
  ["Recordings stay", `${rounded(retention.max_age_days)} days, at most ${rounded(retention.max_gb)} GB`],
  ["Incidents stay", `${rounded(retention.incidents_max_age_days)} days, at most ${rounded(retention.incidents_max_gb)} GB`],
  ...(retention.problem ? [["Room", retention.problem]] : []),
];

const bucketFacts = ({ place, waiting, waiting_bytes: size, oldest_s: oldest, problem }) => [
  ["Bucket", [place, waitingWords(waiting, size, oldest)].filter(Boolean).join("; ")],
  ...(problem ? [["Bucket's problem", problem]] : []),
];

/** Puts a new table in the place of the old one, scrolled as that was and focused if that was. */
function keepScroll(place, fresh) {
  const [old] = place.children;
  place.replaceChildren(fresh);
  if (!old) return;
  fresh.scrollLeft = old.scrollLeft;
}

await showShell("system");
for (;;) {
  try {
    if (!document.hidden) await refresh();
    hide($("problem"));
  } catch (error) {
    show($("problem"), error);
  }
  await sleep(POLL_MS);
}
