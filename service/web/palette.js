// What the bars of an action look like: always the same for the same labels. Colours that colour-blind people tell apart
// (Okabe and Ito 2008), each with a pattern of its own, so that colour is never all there is.

const COLOURS = ["#d55e00", "#56b4e9", "#009e73", "#e69f00", "#cc79a7", "#0072b2", "#f0e442", "#8c8c8c"];
const SIZE = 8; // of a pattern's tile in pixels

const line = (pen, x1, y1, x2, y2) => {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
};

const PATTERNS = [
  () => {},
  (pen) => [-SIZE, 0, SIZE].forEach((x) => line(pen, x, SIZE, x + SIZE, 0)), // rising
  (pen) => pen.fillRect(2, 2, 3, 3), // dots
  (pen) => [-SIZE, 0, SIZE].forEach((x) => line(pen, x, 0, x + SIZE, SIZE)), // falling
  (pen) => line(pen, 0, SIZE / 2, SIZE, SIZE / 2), // level
];

function tile(colour, pattern) {
  const canvas = document.createElement("canvas");
  canvas.width = SIZE;
  canvas.height = SIZE;
  const pen = canvas.getContext("2d");
  pen.fillStyle = colour;
  pen.fillRect(0, 0, SIZE, SIZE);
  pen.fillStyle = pen.strokeStyle = "rgb(0 0 0 / 38%)";
  pen.lineWidth = 2;
  pattern(pen);
  return canvas;
}

/** For labels that no network here has: the same number for the same word. */
const hash = (word) => [...word].reduce((sum, sign) => (sum * 31 + sign.codePointAt(0)) % 9973, 7);

export class Palette {
  /** `labels` in the networks' own order. */
  constructor(labels) {
    this.places = new Map([...new Set(labels)].map((label, index) => [label, index]));
    this.known = new Map(); // action → {colour, tile, pattern}
  }

  /** Of the networks that the service has, those that streams use first. */
  static of(models) {
    return new Palette([...models].sort((one, other) => other.default - one.default).flatMap(({ labels }) => labels));
  }

  /** → {colour, tile} of an action. */
  look(action) {
    if (!this.known.has(action)) {
      const index = this.places.get(action) ?? hash(action);
      const colour = COLOURS[index % COLOURS.length];
      this.known.set(action, { colour, tile: tile(colour, PATTERNS[index % PATTERNS.length]) });
    }
    return this.known.get(action);
  }

  fill(pen, action) {
    const look = this.look(action);
    look.pattern ??= pen.createPattern(look.tile, "repeat");
    return look.pattern;
  }

  /** → a small picture of what an action looks like, for legends and rows. */
  swatch(action) {
    const canvas = document.createElement("canvas");
    canvas.className = "swatch";
    canvas.width = canvas.height = 2 * SIZE;
    canvas.setAttribute("aria-hidden", "true");
    const pen = canvas.getContext("2d");
    pen.fillStyle = pen.createPattern(this.look(action).tile, "repeat");
    pen.fillRect(0, 0, canvas.width, canvas.height);
    return canvas;
  }
}
