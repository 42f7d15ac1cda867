// Training on corrections: how many there are of each camera and label, one training at work, and what came of others.

import { ask, askAll, at } from "./api.js";
import { $, act, alertLine, hide, make, onSubmit, show } from "./dom.js";
import { gateWords } from "./gate.js";
import { showShell, sleep } from "./shell.js";
import { moment } from "./times.js";
import { duration, percent, table } from "./words.js";

const BUSY_MS = 2000;
const IDLE_MS = 10_000;
const OPEN = new Set(["queued", "running", "paused", "gate"]);
const STATE_CLASS = { done: "good", failed: "bad", cancelled: "", queued: "warn", running: "warn", paused: "warn", gate: "warn" };
const STATE_WORDS = { gate: "is examined" };

let mayWrite = false;
let busy = false;
let wake = () => {};

// -- corrections

async function refreshCorrections() {
  const { streams } = await ask("GET", "v1/corrections/summary");
  const labels = [...new Set(streams.flatMap(({ train, audit }) => [...Object.keys(train), ...Object.keys(audit)]))].sort();
  const cell = ({ train, audit }, label) => [train[label] ? String(train[label]) : "–", audit[label] ? ` (audit ${audit[label]})` : ""].join("");
  $("corrections").replaceChildren(table("Corrections by camera and label", ["Camera", ...labels], streams.map((each) =>
    [each.name, ...labels.map((label) => cell(each, label))])));
  $("corrections").hidden = streams.length === 0;
  $("no-corrections").hidden = streams.length > 0;
}

// -- trainings

async function refreshTrainings() {
  const trainings = (await ask("GET", "v1/trainings")).items;
  const open = trainings.filter(({ state }) => OPEN.has(state));
  busy = open.length > 0;
  drawRunning(open);
  $("start").hidden = !mayWrite || busy;
  drawPast(trainings.filter(({ state }) => !OPEN.has(state)));
}

const running = new Map(); // id → {element, update}: made once, so that the button stays under the pointer

function drawRunning(open) {
  for (const id of [...running.keys()].filter((each) => !open.some((training) => training.id === each))) running.delete(id);
  for (const training of open) {
    if (!running.has(training.id)) running.set(training.id, makeRunning(training.id));
    running.get(training.id).update(training);
  }
  const wanted = open.length ? open.map(({ id }) => running.get(id).element) : [make("p", { className: "empty" }, "Nothing is being trained.")];
  if (wanted.some((element, place) => $("running").children[place] !== element)) $("running").replaceChildren(...wanted);
}

function makeRunning(id) {
  const words = make("p", {});
  const bar = make("progress", { max: 1, aria: { label: "Progress of the training" } });
  const figures = make("p", { className: "soft" });
  const paused = make("p", { className: "wrong" });
  const problem = alertLine();
  const cancel = act(make("button", { type: "button", className: "danger", hidden: !mayWrite }, "Cancel"), problem, async () => {
    if (!window.confirm("Cancel this training? What it has learnt so far is lost.")) return;
    await ask("DELETE", `v1/trainings/${id}`);
    await refreshTrainings();
  });
  const element = make("div", { className: "form" }, words, bar, figures, paused, make("div", { className: "actions" }, cancel), problem);
  const update = (training) => {
    words.textContent = `${training.base}, configuration ${training.config}: ${training.step || training.state}`;
    bar.value = training.progress;
    const left = training.eta_s === null ? "" : `, about ${duration(training.eta_s)} to go`;
    figures.textContent = `${percent(training.progress)}${left}; by ${training.by}, ${training.started_at ? `since ${moment(training.started_at)}` : "not begun yet"}`;
    paused.textContent = training.paused_reason ? `Paused: ${training.paused_reason}` : "";
    paused.hidden = !training.paused_reason;
  };
  return { element, update };
}

function drawPast(past) {
  $("trainings").replaceChildren(...past.map(pastEntry));
  $("no-trainings").hidden = past.length > 0;
}

function pastEntry({ base, config, state, version, reason, created_at: createdAt, started_at: startedAt, ended_at: endedAt, by, gate }) {
  const title = version ? make("a", { className: "what", href: at("models") }, version) : make("span", { className: "what" }, base);
  const took = startedAt && endedAt ? `, took ${duration((Date.parse(endedAt) - Date.parse(startedAt)) / 1000)}` : "";
  return make("li", {},
    make("div", { className: "entry" },
      title,
      make("span", { className: `chip ${STATE_CLASS[state] ?? ""}` }, STATE_WORDS[state] ?? state),
      make("span", { className: "soft" }, `${moment(startedAt ?? createdAt)} by ${by}, configuration ${config}${took}`)),
    ...(reason ? [make("p", { className: state === "failed" ? "wrong" : "soft" }, reason)] : []),
    ...gateWords(gate));
}

async function offerNetworks() {
  const models = await askAll("v1/models");
  const light = new Set(models.map(({ light: name }) => name).filter(Boolean)); // they are trained beside their own
  const bases = models.filter(({ id }) => !light.has(id));
  $("start").base.replaceChildren(...bases.map(({ id, default: usual }) => make("option", { value: id, selected: usual }, id)));
}

onSubmit($("start"), $("start-error"), async (form) => {
  await ask("POST", "v1/trainings", { base: form.base.value, config: form.config.value, force_count: form.force_count.checked });
  await refreshTrainings();
  wake();
});

async function refresh() {
  await refreshCorrections();
  await refreshTrainings();
}

const { permissions } = await showShell("train");
mayWrite = permissions.includes("trainings:write");
let offered = false;
for (;;) {
  try {
    if (mayWrite && !offered) await offerNetworks();
    offered = true;
    if (!document.hidden) await refresh();
    hide($("problem"));
  } catch (error) {
    show($("problem"), error);
  }
  await Promise.race([sleep(busy ? BUSY_MS : IDLE_MS), new Promise((done) => (wake = done))]);
}
