// One camera of the wall: its newest picture, the people in it, what it is about.

import { make } from "./dom.js";
import { drawTrack, labelOf, shownAt } from "./overlay.js";

const STALE_MS = 5000;
const CHOSEN_PX = 4;
const LABELLED_PX = 300; // labels would hide a smaller picture

export class Tile {
  /** `onChoose(id)` when its name is pressed, `onPerson(id, trackId)` when somebody in it is. */
  constructor(onChoose, onPerson) {
    this.stream = null;
    this.scene = null; // the message about the picture that is shown
    this.bitmap = null;
    this.shownAtMs = 0;
    this.overlay = true;
    this.person = null; // track id of who is followed
    this.canvas = make("canvas", { onclick: (event) => this.press(event) });
    this.canvas.setAttribute("role", "img");
    this.name = make("button", { type: "button", className: "tile-name", onclick: () => onChoose(this.stream.id) });
    this.note = make("figcaption", { className: "note" });
    this.element = make("figure", { className: "tile" }, this.canvas, this.name, this.note);
    this.onPerson = onPerson;
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** The stream as the API shows it. */
  about(stream, chosen) {
    if (this.stream?.id !== stream.id) this.forget();
    this.stream = stream;
    this.name.textContent = stream.name;
    this.name.setAttribute("aria-pressed", String(chosen));
    this.element.classList.toggle("chosen", chosen);
    if (stream.state !== "running") this.forget();
    this.say();
  }

  forget() {
    this.bitmap?.close();
    this.scene = this.bitmap = null;
    this.draw();
  }

  say() {
    const { state, reason, name } = this.stream;
    const ageMs = performance.now() - this.shownAtMs;
    if (state !== "running") this.note.textContent = `${state}: ${reason}`;
    else if (!this.bitmap) this.note.textContent = "waiting for a picture…";
    else this.note.textContent = ageMs > STALE_MS ? `no picture for ${Math.round(ageMs / 1000)} s` : "";
    this.canvas.setAttribute("aria-label", [`Live picture of ${name}`, ...this.people().map(labelOf)].join(", "));
  }

  /** → who is in the picture. */
  people() {
    return (this.scene?.tracks ?? []).filter(({ state }) => state === "confirmed");
  }

  show(scene, bitmap) {
    this.bitmap?.close();
    this.scene = scene;
    this.bitmap = bitmap;
    this.shownAtMs = performance.now();
    if (this.note.textContent) this.say();
    this.draw();
  }

  /** → where the picture is within the canvas, in CSS pixels. */
  place() {
    const outer = { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
    return shownAt(outer, this.bitmap);
  }

  draw() {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    if (!this.bitmap) return;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const place = this.place();
    pen.drawImage(this.bitmap, place.x, place.y, place.width, place.height);
    if (!this.overlay) return;
    for (const track of this.people()) {
      const chosen = track.track_id === this.person;
      drawTrack(pen, track, place, { labelled: chosen || place.width >= LABELLED_PX, ...(chosen ? { linePx: CHOSEN_PX } : {}) });
    }
  }

  /** The smallest box under the pointer is meant: who stands in front of others would hide them else. */
  press({ offsetX, offsetY }) {
    if (!this.bitmap) return;
    const place = this.place();
    const x = (offsetX - place.x) / place.width;
    const y = (offsetY - place.y) / place.height;
    const area = ({ box: [x1, y1, x2, y2] }) => (x2 - x1) * (y2 - y1);
    const inside = this.people().filter(({ box: [x1, y1, x2, y2] }) => x1 <= x && x <= x2 && y1 <= y && y <= y2);
    const [found] = inside.sort((a, b) => area(a) - area(b));
    if (found) this.onPerson(this.stream.id, found.track_id);
  }
}
