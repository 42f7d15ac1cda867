// The streams panel of the live page: a card for each camera, and the form that adds one.

import { ask } from "./api.js";
import { $, act, alertLine, make, onSubmit } from "./dom.js";
import { editZones } from "./zones.js";

const STATE_CLASS = { running: "good", connecting: "warn", reconnecting: "warn", failed: "bad", stopped: "" };

const formerModes = new Map(); // stream id → how it was recorded before that was switched off
const cards = new Map(); // id → {element, update}

/** `page`: {streams, rights, chosen(), choose(id), refresh()}, what the cards show and work on. */
export function drawCards(page) {
  const { streams } = page;
  for (const [id, card] of cards) {
    if (!streams.has(id)) {
      card.element.remove();
      cards.delete(id);
    }
  }
  for (const stream of streams.values()) {
    if (!cards.has(stream.id)) {
      const card = makeCard(page, stream.id);
      cards.set(stream.id, card);
      $("streams").append(card.element);
    }
    cards.get(stream.id).update(stream);
  }
}

/** Made once a stream and then updated, so that focus and clicks survive the polling. */
function makeCard(page, id) {
  const { streams, rights } = page;
  const path = `v1/streams/${encodeURIComponent(id)}`;
  const name = make("button", { type: "button", className: "name", onclick: () => page.choose(id) });
  const state = make("span", { className: "chip" });
  const reason = make("p", { className: "soft" });
  const source = make("p", { className: "soft" });
  const numbers = make("p", { className: "numbers" });
  const tier = make("p", { className: "soft" });
  const limits = make("p", { className: "limits", hidden: true });
  const record = make("button", { type: "button" });
  const power = make("button", { type: "button" });
  const restart = make("button", { type: "button", textContent: "Restart" });
  const remove = make("button", { type: "button", textContent: "Delete", className: "danger" });
  const zones = make("button", { type: "button", textContent: "Zones" });
  const problem = alertLine();
  const does = (button, work) => act(button, problem, async () => {
    await work(streams.get(id));
    await page.refresh();
  });
  does(record, (stream) => ask("PATCH", path, { record: stream.record ? false : (formerModes.get(stream.id) ?? true) }));
  does(power, (stream) => ask("PATCH", path, { enabled: !stream.enabled }));
  does(restart, () => ask("POST", `${path}/restart`));
  does(zones, (stream) => editZones(stream, rights.zonesWrite));
  does(remove, async (stream) => {
    if (window.confirm(`Delete “${stream.name}”? Its recordings and events stay.`)) await ask("DELETE", path);
  });
  for (const button of [record, power, remove]) button.hidden = !rights.write;
  const element = make(
    "li", { className: "card" },
    make("div", { className: "card-head" }, name, state),
    reason, source, numbers, limits, tier,
    make("div", { className: "actions" }, record, power, restart, zones, remove),
    problem,
  );
  const update = (stream) => {
    element.classList.toggle("chosen", id === page.chosen());
    name.textContent = stream.name;
    name.setAttribute("aria-pressed", String(id === page.chosen()));
    state.textContent = stream.state;
    state.className = `chip ${STATE_CLASS[stream.state] ?? ""}`;
    reason.textContent = stream.state === "running" ? "" : stream.reason;
    reason.hidden = !reason.textContent;
    source.textContent = [stream.url, stream.model].filter(Boolean).join(" · "); // not everybody sees the URL
    numbers.replaceChildren(...numbersOf(stream).map((text) => make("span", {}, text)));
    tier.textContent = [tierOf(stream), unstampedOf(stream)].filter(Boolean).join(" · ");
    tier.hidden = !tier.textContent;
    limits.textContent = limitsOf(stream);
    limits.hidden = !limits.textContent;
    if (stream.record) formerModes.set(stream.id, stream.record);
    record.textContent = stream.record ? recordingOf(stream) : "Record";
    record.setAttribute("aria-pressed", String(Boolean(stream.record)));
    power.textContent = stream.enabled ? "Stop" : "Start";
    restart.hidden = !stream.enabled || !rights.restart;
  };
  return { element, update };
}

/** Which network answers, and why that one: what the machine gives up must be seen. */
function tierOf(stream) {
  if (stream.state !== "running" || !stream.tier_reason) return "";
  const input = stream.detector_image_size ? `, detector at ${stream.detector_image_size}` : "";
  return `${stream.tier_running} network, a clip each ${stream.clip_hop_s.toFixed(1)} s${input} (${stream.tier_reason})`;
}

/** What of a running stream is not as it should be: nobody can be labelled, or its time stamps are not believed. */
function limitsOf(stream) {
  if (stream.state !== "running") return "";
  const clock = stream.clock_reason !== NO_STAMPS && clockOf(stream);
  return [stream.labels && `No labels: ${stream.labels}`, clock].filter(Boolean).join(" · ");
}

const NO_STAMPS = "it sends no time stamps"; // no fault: MJPEG has none
const unstampedOf = (stream) => stream.state === "running" && stream.clock_reason === NO_STAMPS && clockOf(stream);

const clockOf = (stream) => stream.clock === "arrival" && `Clock: arrival of pictures (${stream.clock_reason})`;

function numbersOf(stream) {
  const dropped = Object.values(stream.drops).reduce((sum, count) => sum + count, 0);
  const texts = [`${stream.fps_out.toFixed(1)} of ${stream.fps_in.toFixed(1)} fps`, `${stream.tracks} people`];
  if (stream.label_age_ms !== null) texts.push(`label age ${(stream.label_age_ms / 1000).toFixed(1)} s`);
  if (stream.detection_stride > 1) texts.push(`stride ${stream.detection_stride}`);
  if (dropped) texts.push(`${dropped} dropped`);
  if (stream.restarts) texts.push(`${stream.restarts} restarts`);
  if (stream.size) texts.push(`${stream.size.width}×${stream.size.height}`);
  return texts;
}

function recordingOf({ record, recording }) {
  if (recording === "paused") return "Recording (paused)";
  return record === "incidents" ? "Recording incidents" : "Recording";
}


/** The form; what was added is chosen. */
export function prepareForm(page) {
  $("add").hidden = !page.rights.write;
  onSubmit($("add"), $("add-error"), async (form) => {
    const body = { url: form.url.value.trim(), record: form.record.checked };
    if (form.elements.name.value.trim()) body.name = form.elements.name.value.trim();
    const stream = await ask("POST", "v1/streams", body);
    form.reset();
    await page.refresh();
    page.choose(stream.id);
  });
}
