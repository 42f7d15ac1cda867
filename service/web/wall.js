// The live wall: which cameras are shown, how large, and whose history is looked at.

import { $, make } from "./dom.js";
import { LivePictures } from "./live_pictures.js";
import { labelOf } from "./overlay.js";
import { Tile } from "./tile.js";

const LIST_MS = 500; // between two looks at who is in view
const STRIP = 8; // tiles below the big one
const LAYOUTS = [
  { name: "1", count: 1, title: "One camera" },
  { name: "4", count: 4, title: "Four cameras" },
  { name: "9", count: 9, title: "Nine cameras" },
  { name: "big", count: 1 + STRIP, title: "One big, the others below" },
];
const KEPT = "actoscope.wall";
const TYPING = new Set(["INPUT", "TEXTAREA", "SELECT"]);

export class Wall {
  /** `onPerson(stream, trackId)` hears whose history is wanted. */
  constructor(onPerson) {
    this.kept = { layout: "big", overlay: true, chosen: null, ...readKept() };
    this.streams = []; // as the API shows them
    this.tiles = [];
    this.person = null; // {stream, track}
    this.listedMs = 0;
    this.onPerson = onPerson;
    this.pictures = new LivePictures((scene, bitmap) => this.show(scene, bitmap));
    this.makeTools();
  }

  makeTools() {
    const layouts = LAYOUTS.map(({ name, title }) =>
      make("button", { type: "button", title, onclick: () => this.lay(name), data: { layout: name }, aria: { label: title } },
        name === "big" ? "1 + n" : name));
    this.boxes = make("button", { type: "button", id: "wall-overlay", onclick: () => this.toggle() }, "Boxes (o)");
    this.before = make("button", { type: "button", onclick: () => this.turn(-1), aria: { label: "Cameras before" } }, "‹");
    this.after = make("button", { type: "button", onclick: () => this.turn(1), aria: { label: "Further cameras" } }, "›");
    const whole = make("button", { type: "button", onclick: () => $("wall").requestFullscreen() }, "Full screen");
    this.layouts = make("div", { className: "group", role: "group", aria: { label: "Layout" } }, ...layouts);
    $("wall-tools").replaceChildren(this.layouts, this.before, this.after, this.boxes, whole);
    document.addEventListener("keydown", (event) => this.press(event));
  }

  press({ key, target, ctrlKey, metaKey, altKey }) {
    if (TYPING.has(target.tagName) || ctrlKey || metaKey || altKey || document.querySelector("dialog[open]")) return;
    if (key.toLowerCase() === "o") this.toggle();
  }

  toggle() {
    this.keep({ overlay: !this.kept.overlay });
    this.draw();
  }

  lay(name) {
    this.keep({ layout: name });
    this.draw();
  }

  choose(id) {
    this.keep({ chosen: id });
    this.draw();
  }

  keep(changes) {
    Object.assign(this.kept, changes);
    try {
      localStorage.setItem(KEPT, JSON.stringify(this.kept));
    } catch {
      // a browser that keeps nothing forgets the layout; the wall goes on
    }
  }

  /** The page of cameras before or after; with one camera a page, the neighbour. */
  turn(step) {
    const next = this.streams[this.first() + step * this.layout.count];
    if (next) this.choose(next.id);
  }

  get layout() {
    return LAYOUTS.find(({ name }) => name === this.kept.layout) ?? LAYOUTS[0];
  }

  get chosen() {
    return this.streams.find(({ id }) => id === this.kept.chosen) ?? this.streams[0] ?? null;
  }

  /** → place of the first camera that is shown: pages are as large as the layout. */
  first() {
    const place = Math.max(0, this.streams.indexOf(this.chosen));
    return place - (place % this.layout.count);
  }

  /** → the streams that are shown, the big one first. */
  shown() {
    const { chosen, layout } = this;
    if (layout.name !== "big") return this.streams.slice(this.first(), this.first() + layout.count);
    return chosen ? [chosen, ...this.streams.filter((each) => each !== chosen).slice(0, STRIP)] : [];
  }

  update(streams) {
    this.streams = streams;
    this.draw();
  }

  draw() {
    const shown = this.shown();
    while (this.tiles.length < shown.length) this.tiles.push(new Tile((id) => this.choose(id), (id, track) => this.follow(id, track)));
    this.tiles.splice(shown.length).forEach((tile) => tile.element.remove());
    shown.forEach((stream, place) => this.drawTile(this.tiles[place], stream));
    $("wall").dataset.layout = shown.length > 1 ? this.layout.name : "1";
    $("no-streams").hidden = shown.length > 0;
    this.drawTools();
    this.listPeople();
    const large = this.layout.name === "big" || this.layout.count === 1;
    this.pictures.watch(shown.filter(({ state }) => state === "running").map(({ id }) => id), large && shown.length ? [shown[0].id] : []);
  }

  drawTile(tile, stream) {
    if (!tile.element.isConnected) $("wall").append(tile.element);
    tile.overlay = this.kept.overlay;
    tile.person = this.person?.stream === stream.id ? this.person.track : null;
    tile.about(stream, stream === this.chosen);
    tile.draw();
  }

  drawTools() {
    for (const button of this.layouts.children) button.setAttribute("aria-pressed", String(button.dataset.layout === this.layout.name));
    this.boxes.setAttribute("aria-pressed", String(this.kept.overlay));
    const paged = this.layout.name !== "big" && this.streams.length > this.layout.count;
    for (const button of [this.before, this.after]) button.hidden = !paged;
    this.before.disabled = this.first() === 0;
    this.after.disabled = this.first() + this.layout.count >= this.streams.length;
  }

  show(scene, bitmap) {
    const tile = this.tiles.find(({ stream }) => stream?.id === scene.stream_id);
    if (!tile) return bitmap.close();
    tile.show(scene, bitmap);
    if (tile.stream === this.chosen && performance.now() - this.listedMs > LIST_MS) this.listPeople();
  }

  // -- people

  follow(id, track) {
    this.person = track === null ? null : { stream: id, track };
    this.draw();
    if (this.person) this.onPerson(this.streams.find((each) => each.id === id), track);
  }

  /** Those in the picture of the chosen camera as buttons: for whoever has no pointer, or small targets. */
  listPeople() {
    this.listedMs = performance.now();
    const tile = this.tiles.find(({ stream }) => stream === this.chosen);
    const people = tile?.people() ?? [];
    const known = new Map([...$("people").children].map((item) => [item.dataset.track, item]));
    const items = people.map((person) => this.personItem(tile.stream.id, person, known.get(String(person.track_id))));
    const same = items.length === known.size && items.every((item, place) => item === $("people").children[place]);
    if (!same) $("people").replaceChildren(...items);
    $("no-people").hidden = people.length > 0;
    $("people-title").textContent = tile ? `In view at ${tile.stream.name}` : "In view";
  }

  /** The same element for the same person, so that the focus stays. */
  personItem(streamId, person, known) {
    const item = known ?? make("li", { data: { track: person.track_id } }, make("button", { type: "button" }));
    const [button] = item.children;
    button.onclick = () => this.follow(streamId, person.track_id);
    button.setAttribute("aria-pressed", String(this.person?.stream === streamId && this.person.track === person.track_id));
    if (button.textContent !== labelOf(person)) button.textContent = labelOf(person);
    return item;
  }
}

function readKept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}
