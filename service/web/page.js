// The live page of one service: the wall of cameras, the latest actions, streams, recordings. No build step.

import { ask, askAll, at, may } from "./api.js";
import { $, make } from "./dom.js";
import { prepareRecordings, refreshRecordings } from "./live_recordings.js";
import { drawCards, prepareForm } from "./live_streams.js";
import { closePerson, noteForPerson, showPerson, showRepetition } from "./person.js";
import { noteRepetition } from "./repetitions.js";
import { forever, quietly, refreshService, say, showShell } from "./shell.js";
import { clock } from "./times.js";
import { Wall } from "./wall.js";

const POLL_MS = 2000;
const MAX_EVENTS = 60;

const streams = new Map(); // id → stream as the API shows it
const events = new Map(); // event id → action message, oldest first
const rights = { write: false, restart: false, zonesWrite: false, deleteRecordings: false }; // what is offered here
const nameOf = (streamId) => streams.get(streamId)?.name ?? "deleted stream";

const wall = new Wall((stream, track) => quietly(() => showPerson(stream, track))());
const page = { streams, rights, nameOf, chosen: () => wall.chosen?.id ?? null, choose, refresh: refreshStreams };

$("person-close").onclick = () => {
  closePerson();
  wall.follow(null, null);
};

// -- streams

async function refreshStreams() {
  const found = await askAll("v1/streams");
  streams.clear();
  for (const stream of found) streams.set(stream.id, stream);
  wall.update(found);
  drawCards(page);
}

function choose(id) {
  wall.choose(id);
  drawCards(page);
}

// -- actions

const percent = (value) => (value === null ? "" : `${Math.round(100 * value)} %`);
const placeOf = (event) => [nameOf(event.stream_id), ...(event.zones ?? [])].join(", ");

function noteAction(message) {
  const id = message.event_id;
  events.set(id, { ...events.get(id), first: events.get(id)?.first ?? message.captured_at, ...message });
  while (events.size > MAX_EVENTS) events.delete(events.keys().next().value);
}

async function loadEvents() {
  const { items } = await ask("GET", `v1/events?limit=${MAX_EVENTS}`);
  for (const { id, started_at, updated_at, ...event } of items.reverse()) {
    noteAction({ ...event, event_id: id, first: started_at, captured_at: updated_at });
  }
  drawEvents();
}

function drawEvents() {
  const rows = [...events.values()].reverse().map((event) => {
    const length = event.end_s === null ? "now" : `${Math.max(0, event.end_s - event.start_s).toFixed(1)} s`;
    const review = at(`review?event=${encodeURIComponent(event.event_id)}`);
    return make(
      "li", { className: event.end_s === null ? "going" : "" },
      make("time", { dateTime: event.first }, clock(event.first)),
      make("span", { className: "grow" },
        make("a", { className: "what", href: review }, event.action),
        make("span", { className: "soft" }, ` person ${event.track_id}, ${placeOf(event)}`)),
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
  const url = new URL(at("v1/ws"));
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
    noteForPerson(message);
  } else if (message.type === "repetition") {
    lastSeq = message.seq;
    noteRepetition(message);
    showRepetition(message);
  } else if (message.type === "stream") {
    lastSeq = message.seq;
    quietly(refreshStreams)();
  } else if (message.seq !== undefined) {
    lastSeq = message.seq;
  }
}

await showShell("live");
rights.write = await may("streams:write");
rights.restart = await may("streams:restart");
rights.zonesWrite = await may("zones:write");
rights.deleteRecordings = await may("recordings:delete");
prepareForm(page);
prepareRecordings(page);
connect();
forever(refreshStreams, POLL_MS);
forever(() => refreshRecordings(page), 10_000);
