// The lanes below the player, on one canvas: camera → people → actions over time. Only what is in view is drawn. The
// list of events beside them says the same to those who cannot see them.

import { barAt, firstVisible, layOut } from "./lane_rows.js";
import { drawBar, hatch, theme } from "./lane_ink.js";

const AXIS_PX = 22;
const SHORTEST_S = 4; // the nearest that one can look
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200];
const TICK_PX = 92;
const REACH_PX = 5; // a click so near to a bar is meant for it
const CLICK_PX = 4; // a pointer that moves less does not drag
const WHEEL = 1.0015;

const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

export class Lanes {
  /** `tell`: {seek(unix, streamId), pick(eventId), view(from, to)}: what whoever uses them does. */
  constructor(canvas, palette, clock, tell) {
    Object.assign(this, { canvas, palette, clock, tell });
    this.timeline = { since: 0, until: 1, streams: [], events: [] };
    this.layout = layOut(this.timeline, 0);
    [this.from, this.to, this.top] = [0, 1, 0];
    [this.playhead, this.chosen, this.due] = [null, null, false];
    this.theme = theme(canvas);
    new ResizeObserver(() => this.redraw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.theme = theme(canvas);
      this.redraw();
    });
    this.listen();
  }

  /** `timeline` as the service sends it, its span as Unix time; the view stays where it lies within. */
  show(timeline, now) {
    const same = timeline.since === this.timeline.since && timeline.until === this.timeline.until;
    this.timeline = timeline;
    this.layout = layOut(timeline, now);
    if (!same) [this.from, this.to, this.top] = [timeline.since, timeline.until, 0];
    this.redraw();
  }

  look(from, to) {
    const { since, until } = this.timeline;
    const length = clamp(to - from, SHORTEST_S, until - since);
    this.from = clamp(from, since, until - length);
    this.to = this.from + length;
    this.redraw();
  }

  zoom(factor, at = this.middle) {
    this.look(at - (at - this.from) * factor, at + (this.to - at) * factor);
  }

  pan(share) {
    const by = share * (this.to - this.from);
    this.look(this.from + by, this.to + by);
  }

  fit() {
    this.look(this.timeline.since, this.timeline.until);
  }

  get middle() {
    const shown = this.playhead !== null && this.playhead >= this.from && this.playhead <= this.to;
    return shown ? this.playhead : (this.from + this.to) / 2;
  }

  /** Marks an event, and looks at it with as much before and after if it is not in view well. */
  choose(id) {
    this.chosen = id;
    const found = this.layout.places.get(id);
    if (found) {
      const { from, to } = found.bar;
      const length = Math.max(30, 4 * (to - from));
      const seen = from >= this.from && to <= this.to && this.to - this.from < 40 * length;
      if (!seen) this.look((from + to) / 2 - length, (from + to) / 2 + length);
      this.scroll(clamp(this.top, found.row.top + found.row.height - this.room, found.row.top));
    }
    this.redraw();
  }

  play(unix) {
    this.playhead = unix;
    const outside = unix !== null && (unix < this.from || unix > this.to);
    const inDay = unix >= this.timeline.since && unix <= this.timeline.until;
    if (outside && inDay && !this.dragging) this.look(unix - 0.1 * (this.to - this.from), unix + 0.9 * (this.to - this.from));
    else this.redraw();
  }

  get room() {
    return Math.max(0, this.canvas.clientHeight - AXIS_PX);
  }

  scroll(top) {
    this.top = clamp(top, 0, Math.max(0, this.layout.height - this.room));
  }

  // -- pointers and wheel

  listen() {
    const { canvas } = this;
    const pointers = new Map(); // id → {x, y}
    let moved = 0;
    canvas.addEventListener("wheel", (wheel) => this.onWheel(wheel), { passive: false });
    canvas.onpointerdown = (down) => {
      canvas.setPointerCapture(down.pointerId);
      pointers.set(down.pointerId, { x: down.offsetX, y: down.offsetY });
      moved = 0;
      this.dragging = true;
    };
    canvas.onpointermove = (move) => {
      const before = pointers.get(move.pointerId);
      if (!before) return this.point(move);
      const after = { x: move.offsetX, y: move.offsetY };
      moved += Math.abs(after.x - before.x) + Math.abs(after.y - before.y);
      const other = [...pointers].find(([id]) => id !== move.pointerId)?.[1];
      if (other) this.pinch(before, after, other);
      else if (moved > CLICK_PX) this.drag(before, after);
      pointers.set(move.pointerId, after);
    };
    canvas.onpointerup = (up) => {
      if (moved <= CLICK_PX && pointers.size === 1) this.click(up.offsetX, up.offsetY);
    };
    canvas.onlostpointercapture = (lost) => {
      pointers.delete(lost.pointerId);
      this.dragging = pointers.size > 0;
    };
  }

  onWheel(wheel) {
    wheel.preventDefault();
    const sideways = wheel.shiftKey ? wheel.deltaY : wheel.deltaX;
    if (Math.abs(sideways) > Math.abs(wheel.shiftKey ? 0 : wheel.deltaY)) return this.pan(sideways / this.canvas.clientWidth);
    this.zoom(WHEEL ** wheel.deltaY, this.timeAt(wheel.offsetX));
  }

  drag(before, after) {
    this.scroll(this.top - (after.y - before.y));
    this.pan((before.x - after.x) / this.canvas.clientWidth);
  }

  pinch(before, after, other) {
    const [was, is] = [Math.abs(before.x - other.x), Math.abs(after.x - other.x)].map((width) => Math.max(width, 12));
    this.zoom(was / is, this.timeAt(other.x));
  }

  point({ offsetX, offsetY }) {
    const found = this.hit(offsetX, offsetY);
    this.canvas.title = found?.bar ? titleOf(found.bar, this.clock) : "";
  }

  click(x, y) {
    const found = this.hit(x, y);
    if (found?.bar) this.tell.pick(found.bar.id, this.timeAt(x));
    else this.tell.seek(this.timeAt(x), found?.row.id ?? null);
  }

  /** → {row, bar} at a place of the canvas; null above and below the rows. */
  hit(x, y) {
    const inside = y - AXIS_PX + this.top;
    const row = y < AXIS_PX ? null : this.layout.rows.find(({ top, height }) => inside >= top && inside < top + height);
    if (!row) return null;
    const reach = (REACH_PX * (this.to - this.from)) / this.canvas.clientWidth;
    return { row, bar: row.bars ? barAt(row, this.timeAt(x), reach) : null };
  }

  timeAt(x) {
    return this.from + (x / this.canvas.clientWidth) * (this.to - this.from);
  }

  // -- drawing

  /** At the next picture of the screen, however often it is asked for until then. */
  redraw() {
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      this.draw();
    });
  }

  draw() {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    if (!width) return;
    this.scroll(this.top);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const scale = width / (this.to - this.from);
    const view = { pen, width, height, scale, x: (unix) => (unix - this.from) * scale };
    this.drawAxis(view);
    pen.save();
    pen.beginPath();
    pen.rect(0, AXIS_PX, width, height - AXIS_PX);
    pen.clip();
    pen.translate(0, AXIS_PX - this.top);
    for (const row of this.layout.rows) if (row.kind === "camera") this.drawCamera(view, row);
    for (const row of this.layout.rows) if (row.kind === "people" && this.inView(row)) this.drawPeople(view, row);
    pen.restore();
    this.drawPlayhead(view);
    Object.assign(canvas.dataset, { from: this.from, to: this.to });
    this.tell.view(this.from, this.to);
  }

  inView({ top, height }) {
    return top + height > this.top && top < this.top + this.room;
  }

  drawAxis({ pen, width, height, scale, x }) {
    const step = STEPS_S.find((each) => each * scale >= TICK_PX) ?? STEPS_S.at(-1);
    pen.font = "12px system-ui, sans-serif";
    pen.textBaseline = "middle";
    pen.textAlign = "left";
    for (const tick of this.clock.ticks(Math.ceil(this.from), this.to, step)) {
      pen.fillStyle = this.theme.line;
      pen.fillRect(Math.round(x(tick)), 0, 1, height);
      pen.fillStyle = this.theme.soft;
      const text = step < 60 ? this.clock.time(tick) : this.clock.minute(tick);
      if (x(tick) < width - 36) pen.fillText(text, x(tick) + 4, AXIS_PX / 2);
    }
  }

  /** The head of a camera with its name, and over all its rows hatching where nothing was recorded. */
  drawCamera({ pen, width, x }, row) {
    if (row.top + row.block < this.top || row.top > this.top + this.room) return;
    pen.fillStyle = hatch(pen, this.theme);
    for (const [from, to] of row.gaps) {
      if (to < this.from || from > this.to) continue;
      const left = Math.max(0, x(from));
      pen.fillRect(left, row.top, Math.max(1, Math.min(width, x(to)) - left), row.block);
    }
    pen.fillStyle = this.theme.line;
    pen.fillRect(0, row.top, width, 1);
    pen.font = "600 12px system-ui, sans-serif";
    const text = ` ${row.name} `;
    pen.fillStyle = this.theme.card;
    pen.fillRect(0, row.top + 1, pen.measureText(text).width + 6, row.height - 1);
    pen.fillStyle = this.theme.text;
    pen.fillText(text, 3, row.top + row.height / 2);
  }

  drawPeople(view, row) {
    let covered = -Infinity; // up to here a bar of one look is drawn: what lies below it would not be seen
    let look = "";
    for (let index = firstVisible(row, this.from); index < row.bars.length; index += 1) {
      const bar = row.bars[index];
      if (bar.from > this.to) break;
      const right = view.x(bar.to);
      const marked = bar.alerted || bar.verdict || bar.id === this.chosen;
      if (right <= covered && bar.action === look && !marked) continue;
      drawBar(view, bar, row, { palette: this.palette, theme: this.theme, chosen: bar.id === this.chosen });
      [covered, look] = [Math.max(view.x(bar.from) + 2, right), bar.action];
    }
  }

  drawPlayhead({ pen, height, width, x }) {
    const at = this.playhead === null ? -1 : x(this.playhead);
    if (at < 0 || at > width) return;
    pen.fillStyle = this.theme.bad;
    pen.fillRect(Math.round(at) - 1, 0, 2, height);
  }
}

function titleOf({ trackId, action, confidence, from, to, verdict, alerted }, clock) {
  const parts = [`person ${trackId}`, action, `${Math.round(100 * confidence)} %`, `${clock.time(from)} – ${clock.time(to)}`];
  if (alerted) parts.push("alert");
  if (verdict) parts.push(`said: ${verdict}`);
  return parts.join(" · ");
}
