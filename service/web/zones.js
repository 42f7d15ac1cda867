// Zones of one stream, drawn on a still: click points or set them with the keyboard, name, move and delete them, save.

import { at as addressOf, request, toLogin } from "./api.js";
import { $, act, hide, make, makeSvg, show } from "./dom.js";
import { zonesDialog } from "./zones_dialog.js";

document.body.append(zonesDialog());

const SCALE = 1000; // of the drawing's own units
const STEP = 0.01; // of the picture, by an arrow key
const MOST_POINTS = 32;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

let path = ""; // of the stream
let tag = null; // ETag of the zones that were read
let zones = []; // {name, points: [[x, y], …]}
let chosen = -1;
let saved = ""; // what is stored, to tell whether something would be lost
let crosshair = [0.5, 0.5];

const within = (value) => Math.min(1, Math.max(0, value));
const rounded = (value) => Math.round(value * 1e4) / 1e4;
const body = () => ({ zones: zones.map(({ name, points }) => ({ name, polygon: points })) });
const changed = () => JSON.stringify(body()) !== saved;
const percent = ([x, y]) => `${Math.round(100 * x)} %, ${Math.round(100 * y)} %`;

/** Opens the editor of a stream; `mayWrite` false only shows. */
export async function editZones(stream, mayWrite) {
  path = `v1/streams/${encodeURIComponent(stream.id)}`;
  $("zones-title").textContent = `Zones: ${stream.name}`;
  for (const id of ["zones-new", "zones-save"]) $(id).hidden = !mayWrite;
  $("zones-list").toggleAttribute("inert", !mayWrite);
  $("zones-stage").toggleAttribute("inert", !mayWrite);
  hide($("zones-problem"));
  const answer = await read();
  take(answer);
  chosen = zones.length ? 0 : -1;
  crosshair = [0.5, 0.5];
  showStill(stream);
  draw();
  $("zones").showModal();
}

async function read() {
  try {
    return await request("GET", `${path}/zones`);
  } catch (error) {
    if (error.status === 401) toLogin();
    throw error;
  }
}

function take({ content, headers }) {
  tag = headers.get("etag");
  zones = content.zones.map(({ name, polygon }) => ({ name, points: polygon }));
  saved = JSON.stringify(body());
}

function showStill(stream) {
  const still = $("zones-still");
  still.width = stream.size?.width ?? 16;
  still.height = stream.size?.height ?? 9;
  $("zones-note").textContent = "waiting for a picture…";
  still.onload = () => ($("zones-note").textContent = "");
  still.onerror = () => ($("zones-note").textContent = "No picture comes now. Zones can be drawn all the same.");
  still.src = addressOf(`${path}/snapshot.jpg?overlay=false`);
}

// -- drawing

function draw() {
  $("zones-drawing").replaceChildren(...zones.map(outline), ...cross());
  $("zones-handles").replaceChildren(...names(), ...handles());
  $("zones-list").replaceChildren(...zones.map(row));
  $("no-zones").hidden = zones.length > 0;
  $("zones-hint").textContent = hint();
}

function hint() {
  if (chosen < 0) return "";
  const left = 3 - zones[chosen].points.length;
  const more = left > 0 ? `${left} more ${left === 1 ? "point" : "points"} to go. ` : "";
  return `${more}Click into the picture, or move the cross with the arrow keys and press Enter, to add a point.`;
}

function outline({ points }, index) {
  const shape = points.length > 2 ? "polygon" : "polyline";
  const text = points.map(([x, y]) => `${x * SCALE},${y * SCALE}`).join(" ");
  return makeSvg(shape, { points: text, class: index === chosen ? "chosen" : "" });
}

function cross() {
  if (chosen < 0 || document.activeElement !== $("zones-stage")) return [];
  const [x, y] = crosshair.map((value) => value * SCALE);
  return [
    makeSvg("line", { x1: x, x2: x, y1: 0, y2: SCALE, class: "cross" }),
    makeSvg("line", { x1: 0, x2: SCALE, y1: y, y2: y, class: "cross" }),
  ];
}

function place(element, [x, y]) {
  element.style.left = `${100 * x}%`;
  element.style.top = `${100 * y}%`;
  return element;
}

const names = () =>
  zones.filter(({ points }) => points.length).map(({ name, points }) =>
    place(make("span", { className: "zone-name" }, name), points.reduce((a, b) => (b[1] < a[1] ? b : a))));

function handles() {
  if (chosen < 0) return [];
  return zones[chosen].points.map((point, index) => {
    const label = `${zones[chosen].name}, point ${index + 1} at ${percent(point)}`;
    const handle = make("button", { type: "button", className: "handle", aria: { label } });
    handle.onkeydown = (event) => onHandleKey(event, index);
    handle.onpointerdown = (event) => drag(event, handle, index);
    return place(handle, point);
  });
}

function redraw(focusHandle = null) {
  draw();
  if (focusHandle !== null) $("zones-handles").querySelectorAll(".handle")[focusHandle]?.focus();
}

// -- points

function addPoint(point) {
  const zone = zones[chosen];
  if (!zone || zone.points.length >= MOST_POINTS) return;
  zone.points.push(point.map(rounded));
  draw();
}

function movePoint(index, [x, y]) {
  zones[chosen].points[index] = [rounded(within(x)), rounded(within(y))];
}

function onHandleKey(event, index) {
  const arrow = ARROWS[event.key];
  const points = zones[chosen].points;
  if (arrow) {
    const step = event.shiftKey ? 5 * STEP : STEP;
    movePoint(index, [points[index][0] + arrow[0] * step, points[index][1] + arrow[1] * step]);
    redraw(index);
  } else if (event.key === "Delete" || event.key === "Backspace") {
    points.splice(index, 1);
    redraw(Math.min(index, points.length - 1));
    if (!points.length) $("zones-stage").focus();
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

function at(event) {
  const box = $("zones-still").getBoundingClientRect();
  return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
}

/** Moves a point with the pointer; the handle stays the same element until it is let go. */
function drag(event, handle, index) {
  handle.setPointerCapture(event.pointerId);
  handle.onpointermove = (move) => {
    movePoint(index, at(move));
    place(handle, zones[chosen].points[index]);
    $("zones-drawing").replaceChildren(...zones.map(outline));
  };
  handle.onpointerup = handle.onpointercancel = () => redraw(index);
}

$("zones-stage").onclick = (event) => {
  if (!event.target.closest(".handle")) addPoint(at(event));
};
$("zones-stage").onkeydown = (event) => {
  const arrow = ARROWS[event.key];
  if (arrow) {
    const step = event.shiftKey ? 5 * STEP : STEP;
    crosshair = [within(crosshair[0] + arrow[0] * step), within(crosshair[1] + arrow[1] * step)];
    draw();
  } else if (event.key === "Enter" && event.target === $("zones-stage")) addPoint(crosshair);
  else return;
  event.preventDefault();
};
$("zones-stage").onfocus = $("zones-stage").onblur = () => $("zones-drawing").replaceChildren(...zones.map(outline), ...cross());

// -- the list

function row(zone, index) {
  const input = make("input", { value: zone.name, maxLength: 200, aria: { label: `Name of zone ${index + 1}` } });
  input.onfocus = () => choose(index);
  input.oninput = () => {
    zone.name = input.value;
    $("zones-handles").replaceChildren(...names(), ...handles());
  };
  const remove = () => {
    zones.splice(index, 1);
    chosen = Math.min(chosen, zones.length - 1);
    draw();
  };
  return make(
    "li", { className: index === chosen ? "chosen" : "" },
    input,
    make("span", { className: "figure" }, `${zone.points.length} points`),
    make("button", { type: "button", className: "danger", onclick: remove, aria: { label: `Delete ${zone.name}` } }, "Delete"),
  );
}

/** Without drawing the list anew: somebody is writing in it. */
function choose(index) {
  if (index === chosen) return;
  chosen = index;
  $("zones-drawing").replaceChildren(...zones.map(outline), ...cross());
  $("zones-handles").replaceChildren(...names(), ...handles());
  [...$("zones-list").children].forEach((item, place) => item.classList.toggle("chosen", place === chosen));
  $("zones-hint").textContent = hint();
}

function freshName() {
  const taken = new Set(zones.map(({ name }) => name.toLowerCase()));
  let number = zones.length + 1;
  while (taken.has(`zone ${number}`)) number += 1;
  return `Zone ${number}`;
}

$("zones-new").onclick = () => {
  zones.push({ name: freshName(), points: [] });
  chosen = zones.length - 1;
  draw();
  $("zones-stage").focus();
};

act($("zones-save"), $("zones-problem"), async () => {
  try {
    take(await request("PUT", `${path}/zones`, body(), tag ? { "If-Match": tag } : {}));
  } catch (error) {
    if (error.status === 401) toLogin();
    const wrong = Number(error.fields?.[0]?.field.match(/^zones\.(\d+)/)?.[1] ?? NaN);
    if (zones[wrong]) {
      choose(wrong);
      error.message = `${zones[wrong].name}: ${error.message}`;
    }
    throw error;
  }
  $("zones").close();
});

const leave = () => !changed() || window.confirm("Close without saving? The changes are lost.");

$("zones-close").onclick = () => leave() && $("zones").close();
$("zones").oncancel = (event) => {
  if (!leave()) event.preventDefault();
};
$("zones").onclose = () => $("zones-still").removeAttribute("src");

