// The recordings panel of the live page, and the player with boxes over what was recorded.

import { ask } from "./api.js";
import { $, make } from "./dom.js";
import { Overlay, readLines } from "./overlay.js";
import { quietly } from "./shell.js";
import { moment } from "./times.js";

const PAGE = 12;

let recordingPages = 1;

/** `page`: {nameOf(streamId), rights}. */
export async function refreshRecordings(page) {
  const items = [];
  let cursor = "";
  for (let count = 0; count < recordingPages; count += 1) {
    const answer = await ask("GET", `v1/recordings?limit=${PAGE}${cursor}`);
    items.push(...answer.items);
    cursor = answer.next_cursor ? `&cursor=${encodeURIComponent(answer.next_cursor)}` : "";
    if (!cursor) break;
  }
  $("recordings").replaceChildren(...items.map((each) => recordingRow(each, page)));
  $("no-recordings").hidden = items.length > 0;
  $("more-recordings").hidden = !cursor;
}

function recordingRow(recording, page) {
  const { nameOf, rights } = page;
  const began = moment(recording.started_at);
  const label = `${began}, ${nameOf(recording.stream_id)}`;
  const remove = async () => {
    if (!window.confirm(`Delete the recording of ${label}?`)) return;
    await quietly(() => ask("DELETE", `v1/recordings/${encodeURIComponent(recording.id)}`))();
    await quietly(() => refreshRecordings(page))();
  };
  return make(
    "li", {},
    make("time", { dateTime: recording.started_at }, began),
    make("span", { className: "grow" }, nameOf(recording.stream_id)),
    make("span", { className: "figure" }, `${recording.duration_s.toFixed(1)} s · ${(recording.bytes / 1e6).toFixed(1)} MB`),
    make("button", { type: "button", onclick: () => play(recording, label), aria: { label: `Play ${label}` } }, "Play"),
    make("button", {
      type: "button", className: "danger", hidden: !rights.deleteRecordings, onclick: remove, aria: { label: `Delete ${label}` },
    }, "Delete"),
  );
}

const overlay = new Overlay($("video"), $("video-overlay"));

function play(recording, label) {
  $("player-title").textContent = label;
  $("video").src = recording.video;
  $("overlay-switch").hidden = recording.overlay || recording.events === null;
  overlay.show([]);
  if (!$("overlay-switch").hidden) showLines(recording);
  $("download").href = recording.video;
  $("messages").hidden = recording.events === null;
  $("messages").href = recording.events ?? "";
  $("player").showModal();
}

/** Boxes over a recording that has none in its pictures. */
async function showLines(recording) {
  $("player-note").textContent = "";
  try {
    const lines = await readLines(recording.events, recording.start_s);
    if ($("video").getAttribute("src") === recording.video) overlay.show(lines);
  } catch (error) {
    $("player-note").textContent = error.message;
  }
}

$("overlay").onchange = () => overlay.toggle($("overlay").checked);
$("player").onkeydown = ({ key, target }) => {
  if (key.toLowerCase() !== "o" || target.type === "text" || $("overlay-switch").hidden) return;
  $("overlay").checked = overlay.toggle();
};
$("fullscreen").onclick = () => $("watch").requestFullscreen(); // of the video with its boxes; the player's own lacks them
$("player-close").onclick = () => $("player").close();
$("player").onclose = () => {
  $("video").pause();
  $("video").removeAttribute("src");
  $("video").load();
};

export function prepareRecordings(page) {
  $("more-recordings").onclick = () => {
    recordingPages += 1;
    quietly(() => refreshRecordings(page))();
  };
}
