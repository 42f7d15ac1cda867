// Boxes and labels over a clean recording: drawn from the lines beside it, so that they can be switched off.

const TOLERANCE_S = 0.5; // without a line so near to a picture, nothing is known of it
const LINE_PX = 2;
const FONT_PX = 14;

/** → what is known of each analysed picture, by seconds of the file: [{at, tracks}], in order. Bad lines are left out. */
export async function readLines(url, startS) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`The messages of this recording cannot be read (${answer.status}).`);
  const found = [];
  for (const line of (await answer.text()).split("\n")) {
    if (!line.includes('"tracks"')) continue;
    const message = parsed(line);
    if (message?.type === "tracks") found.push({ at: message.time_s - startS, tracks: message.tracks });
  }
  return found.sort((a, b) => a.at - b.at);
}

function parsed(line) {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

/** → the line nearest to a time, or null. */
export function nearest(lines, at) {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lines[middle].at < at) low = middle + 1;
    else high = middle;
  }
  const near = [lines[low - 1], lines[low]].filter(Boolean).sort((a, b) => Math.abs(a.at - at) - Math.abs(b.at - at));
  return near.length && Math.abs(near[0].at - at) <= TOLERANCE_S ? near[0] : null;
}

/** The same colour for the same person as in pictures that the service draws: steps of the golden ratio of hue. */
export function colourOf(trackId) {
  const hue = ((trackId * 0.618034) % 1) * 360;
  return `hsl(${hue.toFixed(1)} 100% 62.5%)`; // hsv(hue, 0.75, 1)
}

/** Where the picture is within an element that shows it whole: {x, y, width, height} in CSS pixels. */
export function shownAt(outer, inner) {
  const scale = Math.min(outer.width / inner.width, outer.height / inner.height) || 0;
  const width = inner.width * scale;
  const height = inner.height * scale;
  return { x: (outer.width - width) / 2, y: (outer.height - height) / 2, width, height };
}

export class Overlay {
  /** `canvas` lies over `video` and is as large. */
  constructor(video, canvas) {
    this.video = video;
    this.canvas = canvas;
    this.lines = [];
    this.on = true;
    this.drawnAt = null; // time of the picture that was drawn for, for whoever wants to know
    new ResizeObserver(() => this.draw()).observe(video);
    video.addEventListener("seeked", () => this.draw());
    this.follow();
  }

  /** Called for every picture that is shown; its own time is exact, the player's clock is not. */
  follow() {
    if (!this.video.requestVideoFrameCallback) {
      this.video.addEventListener("timeupdate", () => this.draw());
      return;
    }
    this.video.requestVideoFrameCallback((_, { mediaTime }) => {
      this.mediaTime = mediaTime;
      this.draw();
      this.follow();
    });
  }

  show(lines) {
    this.lines = lines;
    this.mediaTime = undefined;
    this.draw();
  }

  toggle(on = !this.on) {
    this.on = on;
    this.draw();
    return on;
  }

  draw() {
    const { video, canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(video.clientWidth * ratio);
    canvas.height = Math.round(video.clientHeight * ratio);
    this.drawnAt = null;
    if (!this.on || !video.videoWidth) return;
    const at = this.mediaTime ?? video.currentTime;
    const line = nearest(this.lines, at);
    this.drawnAt = at;
    if (line === null) return;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const outer = { width: video.clientWidth, height: video.clientHeight };
    const place = shownAt(outer, { width: video.videoWidth, height: video.videoHeight });
    for (const track of line.tracks) if (track.state === "confirmed") drawTrack(pen, track, place);
  }
}

/** A person's box, and a label where there is room for it; `place` is where the picture is. */
export function drawTrack(pen, track, place, { linePx = LINE_PX, labelled = true } = {}) {
  const [x1, y1, x2, y2] = track.box;
  const left = place.x + x1 * place.width;
  const top = place.y + y1 * place.height;
  pen.strokeStyle = colourOf(track.track_id);
  pen.lineWidth = linePx;
  pen.strokeRect(left, top, (x2 - x1) * place.width, (y2 - y1) * place.height);
  if (labelled) drawLabel(pen, labelOf(track), left, Math.max(top - FONT_PX - 6, place.y));
}

/** What a person does, in words: “#7 Walking 80%”; of an exercise, how often: “#7 Squat 91% squat x3”. */
export function labelOf({ track_id, action, confidence, provisional, repetitions }) {
  const words = [`#${track_id}`];
  if (action !== null) words.push(`${action} ${Math.round(100 * (confidence ?? 0))}%${provisional ? "?" : ""}`);
  if (repetitions) words.push(`${repetitions.exercise} x${repetitions.count}`);
  return words.join(" ");
}

function drawLabel(pen, text, left, top) {
  pen.font = `${FONT_PX}px system-ui, sans-serif`;
  pen.fillStyle = "rgb(16 16 16 / 70%)";
  pen.fillRect(left, top, pen.measureText(text).width + 8, FONT_PX + 6);
  pen.fillStyle = "white";
  pen.fillText(text, left + 4, top + FONT_PX);
}
