// Drawing of the lanes: bars with their texts and marks, hatching, and the strip of a day.

const MARK_PX = 7;
const TEXT_PX = 44; // a bar that is narrower has no text
const VERDICTS = { right: "✓", wrong: "✗", unsure: "?" };

/** → the page's own colours, which differ in the dark. */
export function theme(element) {
  const style = getComputedStyle(element);
  const names = ["ground", "card", "line", "text", "soft", "accent", "bad"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

const hatchings = new Map(); // colour → pattern

export function hatch(pen, { line }) {
  if (!hatchings.has(line)) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const ink = tile.getContext("2d");
    ink.strokeStyle = line;
    ink.lineWidth = 1.5;
    for (const x of [-8, 0, 8]) {
      ink.beginPath();
      ink.moveTo(x, 8);
      ink.lineTo(x + 8, 0);
      ink.stroke();
    }
    hatchings.set(line, pen.createPattern(tile, "repeat"));
  }
  return hatchings.get(line);
}

/** One action: the surer the fuller; its outline says where it is however pale it is. */
export function drawBar({ pen, x, width }, bar, row, { palette, theme: colours, chosen }) {
  const left = Math.max(-2, x(bar.from));
  const right = Math.min(width + 2, Math.max(x(bar.to), x(bar.from) + 2));
  const [top, height] = [row.top + 3, row.height - 6];
  pen.fillStyle = colours.card;
  pen.fillRect(left, top, right - left, height);
  pen.globalAlpha = 0.3 + 0.7 * bar.confidence;
  pen.fillStyle = palette.fill(pen, bar.action);
  pen.fillRect(left, top, right - left, height);
  pen.globalAlpha = 1;
  if (right - left > 4) {
    pen.strokeStyle = chosen ? colours.text : palette.look(bar.action).colour;
    pen.lineWidth = chosen ? 2 : 1;
    pen.strokeRect(left + 0.5, top + 0.5, right - left - 1, height - 1);
  }
  if (right - left >= TEXT_PX) drawText(pen, textOf(bar), { left, top, width: right - left, height }, colours);
  if (bar.alerted) drawAlert(pen, left, top, colours);
}

const textOf = ({ trackId, action, verdict }) => `#${trackId} ${action}${verdict ? ` ${VERDICTS[verdict]}` : ""}`;

/** On a ground of its own, so that it can be read on every colour and pattern. */
function drawText(pen, text, { left, top, width, height }, colours) {
  pen.save();
  pen.beginPath();
  pen.rect(left, top, width, height);
  pen.clip();
  pen.font = "12px system-ui, sans-serif";
  pen.textBaseline = "middle";
  const start = Math.max(left, 0) + 10;
  pen.globalAlpha = 0.82;
  pen.fillStyle = colours.card;
  pen.fillRect(start - 3, top + 2, pen.measureText(text).width + 6, height - 4);
  pen.globalAlpha = 1;
  pen.fillStyle = colours.text;
  pen.fillText(text, start, top + height / 2 + 0.5);
  pen.restore();
}

/** Somebody was told of it: a flag at its beginning. */
function drawAlert(pen, left, top, colours) {
  pen.fillStyle = colours.bad;
  pen.strokeStyle = colours.card;
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(left, top - 3);
  pen.lineTo(left + MARK_PX + 2, top - 3);
  pen.lineTo(left, top + MARK_PX + 1);
  pen.closePath();
  pen.fill();
  pen.stroke();
}

/** How much there was of which action over the whole span, and which part of it the lanes show. */
export class Strip {
  constructor(canvas, palette, clock, look) {
    Object.assign(this, { canvas, palette, clock, look });
    this.timeline = null;
    [this.from, this.to] = [0, 1];
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.onpointerdown = (down) => {
      canvas.setPointerCapture(down.pointerId);
      this.go(down);
    };
    canvas.onpointermove = (move) => canvas.hasPointerCapture(move.pointerId) && this.go(move);
  }

  /** The middle of the view goes there. */
  go({ offsetX }) {
    const { since, until } = this.timeline;
    const at = since + (offsetX / this.canvas.clientWidth) * (until - since);
    const half = Math.min(this.to - this.from, 0.5 * (until - since)) / 2;
    this.look(at - half, at + half);
  }

  show(timeline) {
    this.timeline = timeline;
    this.buckets = new Map(); // start → [[action, count], …]
    for (const [start, action, count] of timeline.density) {
      if (!this.buckets.has(start)) this.buckets.set(start, []);
      this.buckets.get(start).push([action, count]);
    }
    this.most = Math.max(1, ...[...this.buckets.values()].map((parts) => parts.reduce((sum, [, count]) => sum + count, 0)));
    this.draw();
  }

  mark(from, to) {
    [this.from, this.to] = [from, to];
    this.draw();
  }

  draw() {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    if (!this.timeline || !width) return;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const colours = theme(canvas);
    const { since, until, bucket_s: bucket } = this.timeline;
    const x = (unix) => ((unix - since) / (until - since)) * width;
    this.drawHours({ pen, x, height }, colours);
    for (const [start, parts] of this.buckets) {
      let bottom = height;
      for (const [action, count] of parts) {
        const part = (count / this.most) * (height - 14);
        pen.fillStyle = this.palette.fill(pen, action);
        pen.fillRect(x(start), bottom - part, Math.max(1, x(start + bucket) - x(start) - 0.5), part);
        bottom -= part;
      }
    }
    pen.strokeStyle = colours.accent;
    pen.lineWidth = 2;
    pen.strokeRect(x(this.from) + 1, 1, Math.max(3, x(this.to) - x(this.from) - 2), height - 2);
  }

  drawHours({ pen, x, height }, colours) {
    const { since, until } = this.timeline;
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "top";
    for (const tick of this.clock.ticks(since, until, until - since > 90_000 ? 86_400 : 10_800)) {
      pen.fillStyle = colours.line;
      pen.fillRect(Math.round(x(tick)), 0, 1, height);
      pen.fillStyle = colours.soft;
      pen.fillText(this.clock.minute(tick), x(tick) + 3, 2);
    }
  }
}
