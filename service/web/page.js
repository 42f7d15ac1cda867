// The page of one service: streams, the live picture, the latest actions, recordings. No build step, no dependencies.
// Texts that came from elsewhere only ever become text nodes; nothing here makes HTML of them.

const POLL_MS = 2000;
const MAX_EVENTS = 60;
const PAGE = 12;
const STATE_CLASS = { running: "good", connecting: "warn", reconnecting: "warn", failed: "bad", stopped: "" };

const $ = (id) => document.getElementById(id);
const streams = new Map(); // id → stream as the API shows it
const events = new Map(); // event id → action message, oldest first
let chosen = null; // id of the stream in the big picture
let shownLive = ""; // what the big picture shows: id and state

/** An element with properties, data attributes and children; strings become text nodes. */
function make(tag, properties = {}, ...children) {
  const { aria = {}, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children);
  return element;
}

/** Asks the API. Throws an Error with the problem's own words, and its list of fields. */
async function ask(method, path, body) {
  let answer;
  try {
    const headers = body === undefined ? {} : { "Content-Type": "application/json" };
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Error("The service does not answer.");
  }
  const content = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (answer.ok) return content;
  const error = new Error(content?.detail ?? `The service answered ${answer.status}.`);
  error.fields = content?.errors ?? [];
  throw error;
}

const clock = (text) => new Date(text).toLocaleTimeString();
const percent = (value) => (value === null ? "" : `${Math.round(100 * value)} %`);
const nameOf = (streamId) => streams.get(streamId)?.name ?? "deleted stream";

// -- streams

async function refreshStreams() {
  const found = [];
  let cursor = "";
  do {
    const page = await ask("GET", `v1/streams?limit=200${cursor}`);
    found.push(...page.items);
    cursor = page.next_cursor ? `&cursor=${encodeURIComponent(page.next_cursor)}` : "";
  } while (cursor);
  streams.clear();
  for (const stream of found) streams.set(stream.id, stream);
  if (!streams.has(chosen)) chosen = streams.keys().next().value ?? null;
  drawStreams();
  drawPicture();
}

const cards = new Map(); // id → {element, update}

function drawStreams() {
  for (const [id, card] of cards) {
    if (!streams.has(id)) {
      card.element.remove();
      cards.delete(id);
    }
  }
  for (const stream of streams.values()) {
    if (!cards.has(stream.id)) {
      const card = makeCard(stream.id);
      cards.set(stream.id, card);
      $("streams").append(card.element);
    }
    cards.get(stream.id).update(stream);
  }
}

/** Made once a stream and then updated, so that focus and clicks survive the polling. */
function makeCard(id) {
  const path = `v1/streams/${encodeURIComponent(id)}`;
  const name = make("button", { type: "button", className: "name", onclick: () => choose(id) });
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
  const problem = make("p", { className: "error", hidden: true, role: "alert" });
  const act = (button, work) => {
    button.onclick = async () => {
      button.disabled = true;
      problem.hidden = true;
      try {
        await work(streams.get(id));
        await refreshStreams();
      } catch (error) {
        problem.textContent = error.message;
        problem.hidden = false;
      }
      button.disabled = false;
    };
  };
  act(record, (stream) => ask("PATCH", path, { record: !stream.record }));
  act(power, (stream) => ask("PATCH", path, { enabled: !stream.enabled }));
  act(restart, () => ask("POST", `${path}/restart`));
  act(remove, async (stream) => {
    if (window.confirm(`Delete “${stream.name}”? Its recordings and events stay.`)) await ask("DELETE", path);
  });
  const element = make(
    "li", { className: "card" },
    make("div", { className: "card-head" }, name, state),
    reason, source, numbers, limits, tier,
    make("div", { className: "actions" }, record, power, restart, remove),
    problem,
  );
  const update = (stream) => {
    element.classList.toggle("chosen", id === chosen);
    name.textContent = stream.name;
    name.setAttribute("aria-pressed", String(id === chosen));
    state.textContent = stream.state;
    state.className = `chip ${STATE_CLASS[stream.state] ?? ""}`;
    reason.textContent = stream.state === "running" ? "" : stream.reason;
    reason.hidden = !reason.textContent;
    source.textContent = `${stream.url} · ${stream.model}`;
    numbers.replaceChildren(...numbersOf(stream).map((text) => make("span", {}, text)));
    tier.textContent = [tierOf(stream), unstampedOf(stream)].filter(Boolean).join(" · ");
    tier.hidden = !tier.textContent;
    limits.textContent = limitsOf(stream);
    limits.hidden = !limits.textContent;
    record.textContent = stream.record ? (stream.recording === "paused" ? "Recording (paused)" : "Recording") : "Record";
    record.setAttribute("aria-pressed", String(stream.record));
    power.textContent = stream.enabled ? "Stop" : "Start";
    restart.hidden = !stream.enabled;
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

// -- the big picture: one at a time, since a browser holds only six connections to one server

function choose(id) {
  chosen = id;
  drawStreams();
  drawPicture();
}

function drawPicture() {
  const stream = streams.get(chosen);
  const live = $("live");
  const wanted = stream?.state === "running" ? `${stream.id} ${stream.since}` : "";
  $("view-title").textContent = stream ? `Live: ${stream.name}` : "Live";
  if (!stream) note("No stream yet. Add a camera below.");
  else if (!wanted) note(`${stream.state}: ${stream.reason}`);
  if (wanted === shownLive) return;
  shownLive = wanted;
  if (!wanted) {
    live.removeAttribute("src");
    live.hidden = true;
    return;
  }
  note("waiting for a picture…");
  live.alt = `Live picture of ${stream.name} with people, their boxes and actions`;
  live.src = `v1/streams/${encodeURIComponent(stream.id)}/live.mjpeg?${Date.now()}`;
  live.hidden = false;
}

const note = (text) => ($("picture-note").textContent = text);

$("live").onload = () => note("");
$("live").onerror = () => {
  if (!$("live").hidden) setTimeout(() => (shownLive = ""), POLL_MS); // the next poll tries again
};
setInterval(() => {
  if ($("live").naturalWidth > 0 && shownLive) note(""); // not every browser tells of the first part by an event
}, 500);

// -- add a stream

$("add").onsubmit = async (submit) => {
  submit.preventDefault();
  const form = submit.target;
  const problem = $("add-error");
  const button = form.querySelector("button");
  const body = { url: form.url.value.trim(), record: form.record.checked };
  if (form.elements.name.value.trim()) body.name = form.elements.name.value.trim();
  button.disabled = true;
  problem.hidden = true;
  for (const input of form.querySelectorAll("input")) input.removeAttribute("aria-invalid");
  try {
    const stream = await ask("POST", "v1/streams", body);
    form.reset();
    chosen = stream.id;
    await refreshStreams();
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
    for (const { field } of error.fields ?? []) form.elements[field]?.setAttribute("aria-invalid", "true");
    form.url.focus();
  }
  button.disabled = false;
};

// -- actions

function noteAction(message) {
  const id = message.event_id;
  events.set(id, { ...events.get(id), first: events.get(id)?.first ?? message.captured_at, ...message });
  while (events.size > MAX_EVENTS) events.delete(events.keys().next().value);
}

async function loadEvents() {
  const page = await ask("GET", `v1/events?limit=${MAX_EVENTS}`);
  for (const { id, started_at, updated_at, ...event } of page.items.reverse()) {
    noteAction({ ...event, event_id: id, first: started_at, captured_at: updated_at });
  }
  drawEvents();
}

function drawEvents() {
  const rows = [...events.values()].reverse().map((event) => {
    const length = event.end_s === null ? "now" : `${Math.max(0, event.end_s - event.start_s).toFixed(1)} s`;
    return make(
      "li", { className: event.end_s === null ? "going" : "" },
      make("time", { dateTime: event.first }, clock(event.first)),
      make("span", { className: "grow" },
        make("span", { className: "what" }, event.action),
        make("span", { className: "soft" }, ` person ${event.track_id}, ${nameOf(event.stream_id)}`)),
      make("span", { className: "figure" }, `${percent(event.confidence)} · ${length}`),
    );
  });
  $("events").replaceChildren(...rows);
  $("no-events").hidden = rows.length > 0;
}

// -- live messages; a lost connection goes on where it ended

let lastSeq = null;
let waitMs = 500;

function connect() {
  const url = new URL("v1/ws", document.baseURI); // relative like every path here: a proxy may put the page below one
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  if (lastSeq !== null) url.searchParams.set("since_seq", lastSeq);
  const socket = new WebSocket(url);
  const ping = setInterval(() => socket.readyState === WebSocket.OPEN && socket.send('{"type":"ping"}'), 25_000);
  socket.onmessage = ({ data }) => onMessage(JSON.parse(data));
  socket.onclose = () => {
    clearInterval(ping);
    say("no connection, trying again…", "bad");
    setTimeout(connect, waitMs);
    waitMs = Math.min(10_000, waitMs * 2);
  };
}

function onMessage(message) {
  if (message.type === "hello") {
    waitMs = 500;
    // A number behind ours means another database: what we know of the past is not its past.
    if (lastSeq === null || message.seq < lastSeq) {
      lastSeq = message.seq;
      events.clear();
      quietly(loadEvents)();
    }
    quietly(refreshStreams)();
    quietly(refreshService)();
  } else if (message.type === "action") {
    lastSeq = message.seq;
    noteAction(message);
    drawEvents();
  } else if (message.type === "stream") {
    lastSeq = message.seq;
    quietly(refreshStreams)();
  }
}

// -- recordings

let recordingPages = 1;

async function refreshRecordings() {
  const items = [];
  let cursor = "";
  for (let page = 0; page < recordingPages; page += 1) {
    const answer = await ask("GET", `v1/recordings?limit=${PAGE}${cursor}`);
    items.push(...answer.items);
    cursor = answer.next_cursor ? `&cursor=${encodeURIComponent(answer.next_cursor)}` : "";
    if (!cursor) break;
  }
  $("recordings").replaceChildren(...items.map(recordingRow));
  $("no-recordings").hidden = items.length > 0;
  $("more-recordings").hidden = !cursor;
}

function recordingRow(recording) {
  const began = new Date(recording.started_at).toLocaleString();
  const label = `${began}, ${nameOf(recording.stream_id)}`;
  const remove = async () => {
    if (!window.confirm(`Delete the recording of ${label}?`)) return;
    await quietly(() => ask("DELETE", `v1/recordings/${encodeURIComponent(recording.id)}`))();
    await quietly(refreshRecordings)();
  };
  return make(
    "li", {},
    make("time", { dateTime: recording.started_at }, began),
    make("span", { className: "grow" }, nameOf(recording.stream_id)),
    make("span", { className: "figure" }, `${recording.duration_s.toFixed(1)} s · ${(recording.bytes / 1e6).toFixed(1)} MB`),
    make("button", { type: "button", onclick: () => play(recording, label), aria: { label: `Play ${label}` } }, "Play"),
    make("button", { type: "button", className: "danger", onclick: remove, aria: { label: `Delete ${label}` } }, "Delete"),
  );
}

function play(recording, label) {
  $("player-title").textContent = label;
  $("video").src = recording.video;
  $("download").href = recording.video;
  $("messages").hidden = recording.events === null;
  $("messages").href = recording.events ?? "";
  $("player").showModal();
}

$("player-close").onclick = () => $("player").close();
$("player").onclose = () => {
  $("video").pause();
  $("video").removeAttribute("src");
  $("video").load();
};
$("more-recordings").onclick = () => {
  recordingPages += 1;
  quietly(refreshRecordings)();
};

// -- the service

function say(text, kind) {
  $("service").textContent = text;
  $("service").className = `chip ${kind}`;
}

async function refreshService() {
  const answer = await fetch("readyz");
  const content = await answer.json();
  if (!answer.ok) return say(content.detail ?? "models are loading…", "warn");
  const parts = Object.entries(content.inference?.parts ?? {});
  const coming = parts.filter(([, what]) => what.startsWith("being prepared")).map(([part]) => part.split(":").pop());
  say(coming.length ? `ready; preparing ${coming.join(", ")}` : "ready", "good");
}

/** For what runs by itself: a failure is shown by the chip of the service, and the next round tries again. */
const quietly = (work) => async () => {
  try {
    await work();
  } catch (error) {
    say(error instanceof TypeError ? "the service does not answer" : error.message, "bad");
  }
};

/** One after another, so that slow answers do not pile up. */
async function forever(work, pauseMs) {
  for (;;) {
    if (!document.hidden) await quietly(work)();
    await new Promise((wake) => setTimeout(wake, pauseMs));
  }
}

connect();
forever(refreshStreams, POLL_MS);
forever(refreshService, 5000);
forever(refreshRecordings, 10_000);
