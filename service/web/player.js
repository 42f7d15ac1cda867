// One camera's recordings as if they were one film: two players take turns at the ends of files, so that nothing is seen of
// the change, and what was not recorded is told. Time outside is Unix time, inside each file its own.

import { askAll } from "./api.js";
import { make } from "./dom.js";
import { Overlay, readLines } from "./overlay.js";
import { lengthOf, rfc3339, unixOf } from "./times.js";

const GAP_S = 1; // less is how files follow one another
const AHEAD_S = 8; // so long before a file's end the next one is opened
const RATES = [0.25, 0.5, 1, 1.5, 2, 4, 8, 16];
const [BEFORE_S, AFTER_S] = [300, 1800]; // of what files are asked for around a moment
const OPEN_S = 4000; // no file is longer in writing: an hour, and what it takes to finish it
const NEAR_S = 60; // an event's message cannot come later than this after its onset

/** The files of one camera around where one looks. */
class Shelf {
  constructor() {
    this.clear(null);
  }

  clear(streamId) {
    this.streamId = streamId;
    [this.files, this.from, this.to] = [[], Infinity, -Infinity];
  }

  /** Knows the files around a moment from now on. */
  async reach(unix) {
    if (this.streamId === null || (unix >= this.from && unix <= this.to)) return;
    const { streamId } = this;
    const [from, to] = [unix - BEFORE_S, unix + AFTER_S];
    const query = new URLSearchParams({ stream: streamId, since: rfc3339(from), until: rfc3339(to) });
    const found = await askAll(`v1/recordings?${query}`);
    if (this.streamId !== streamId) return;
    this.files = found.map(fileOf).sort((one, other) => one.from - other.from);
    [this.from, this.to] = [from, this.sureUntil(from, to)];
  }

  /** → until when nothing is added any more: a file that is still being written is not there yet. */
  sureUntil(from, to) {
    return to < Date.now() / 1000 - OPEN_S ? to : Math.min(to, Math.max(from, ...this.files.map((file) => file.to)));
  }

  at(unix) {
    return this.files.findLast(({ from, to }) => from <= unix && unix <= to);
  }

  after({ from }) {
    return this.files.find((file) => file.from > from);
  }
}

/** A recording with its times as Unix seconds. */
const fileOf = (recording) => ({ ...recording, from: unixOf(recording.started_at), to: unixOf(recording.ended_at) });

/** One of the two players: a video, its boxes, and the file in it. */
class Deck {
  constructor(tell) {
    this.video = make("video", { muted: true, playsInline: true, preload: "auto", tabIndex: -1, aria: { label: "Recording" } });
    const canvas = make("canvas", { className: "boxes", aria: { hidden: "true" } });
    this.box = make("div", { className: "watch deck", hidden: true }, this.video, canvas);
    this.overlay = new Overlay(this.video, canvas);
    this.file = null;
    this.video.addEventListener("ended", () => tell.ended(this));
    this.video.addEventListener("error", () => tell.failed(this));
    for (const change of ["play", "pause", "ratechange"]) this.video.addEventListener(change, () => tell.changed(this));
    for (const move of ["timeupdate", "seeked"]) this.video.addEventListener(move, () => tell.moved(this));
  }

  load(file) {
    if (this.holds(file)) return;
    this.file = file;
    this.video.src = file.video;
    this.overlay.show([]);
    if (!file.overlay && file.events !== null) this.readBoxes(file); // pictures do not wait for boxes
  }

  holds(file) {
    return this.file !== null && this.file.id === file.id;
  }

  async readBoxes(file) {
    try {
      const lines = await readLines(file.events, file.start_s);
      if (this.file === file) this.overlay.show(lines);
    } catch {
      this.overlay.show([]); // the pictures are worth seeing without
    }
  }

  clear() {
    this.video.pause();
    this.file = null;
    this.video.removeAttribute("src");
    this.video.load();
    this.overlay.show([]);
  }

  get frameS() {
    return this.file.duration_s / Math.max(1, this.file.frames);
  }

  /** To the middle of the picture that is shown at `at` seconds of the file: on its edge it might be the one before. */
  seek(at) {
    const { frameS } = this;
    const last = Math.max(0, this.file.frames - 1);
    const frame = Math.max(0, Math.min(last, Math.floor(at / frameS + 1e-6)));
    this.video.currentTime = (frame + 0.5) * frameS;
  }

  step(frames) {
    this.seek((Math.floor(this.video.currentTime / this.frameS + 1e-6) + frames + 0.5) * this.frameS);
  }

  /** Unix time of the picture that is shown. */
  get at() {
    return this.file.from + this.video.currentTime;
  }
}

export class Player {
  /** `stage` takes the pictures, `note` says what is missing; `tell`: {moved(unix), changed({playing, rate})}. */
  constructor(stage, note, clock, tell) {
    Object.assign(this, { note, clock, tell });
    this.shelf = new Shelf();
    this.spans = []; // [[from, to], …] of what there is
    this.wanted = null; // Unix time that was asked for last
    this.rate = 1;
    const told = {
      ended: (deck) => deck === this.active && this.goOn(),
      failed: (deck) => deck === this.active && deck.file && this.say("This recording cannot be played here."),
      changed: (deck) => deck === this.active && this.tellChange(),
      moved: (deck) => deck === this.active && deck.file && this.onMoved(),
    };
    this.decks = [new Deck(told), new Deck(told)];
    this.active = this.decks[0];
    stage.prepend(...this.decks.map(({ box }) => box));
  }

  say(text) {
    this.note.textContent = text;
  }

  /** Which camera, and from when to when there is something of it: [[from, to], …]. */
  offer(streamId, spans) {
    if (streamId !== this.shelf.streamId) this.shelf.clear(streamId);
    this.spans = [...spans].sort((one, other) => one[0] - other[0]);
  }

  /** Shows the picture of a moment. → whether there is one. */
  async seek(unix, play = this.playing) {
    this.wanted = unix;
    try {
      await this.shelf.reach(unix);
    } catch (error) {
      this.say(error.message);
      return false;
    }
    if (this.wanted !== unix) return false; // somebody wants another one by now
    const file = this.shelf.at(unix);
    if (!file) return this.showGap(unix);
    if (this.other.holds(file)) this.swap();
    this.say("");
    this.active.load(file);
    this.active.box.hidden = false;
    this.active.seek(unix - file.from);
    if (play) await this.start();
    else this.active.video.pause();
    this.tell.moved(unix);
    return true;
  }

  showGap(unix) {
    for (const deck of this.decks) {
      deck.clear();
      deck.box.hidden = true;
    }
    const next = this.spans.find(([from]) => from > unix);
    const goesOn = next ? ` It goes on at ${this.clock.time(next[0])}.` : "";
    this.say(`Nothing was recorded at ${this.clock.time(unix)}.${goesOn}`);
    this.tell.moved(unix);
    this.tellChange();
    return false;
  }

  get other() {
    return this.decks[this.active === this.decks[0] ? 1 : 0];
  }

  swap() {
    const before = this.active;
    this.active = this.other;
    before.video.pause();
    before.box.hidden = true;
    this.active.box.hidden = false;
    this.active.overlay.draw();
  }

  /** At the end of a file: the next one, and what is missing between them. */
  async goOn() {
    const { file } = this.active;
    await this.shelf.reach(file.to + AHEAD_S).catch(() => {}); // what is known may do
    const next = this.shelf.after(file)?.from ?? this.spans.find(([from]) => from > file.to)?.[0];
    if (next === undefined) return this.say(`The recordings end at ${this.clock.time(file.to)}.`);
    await this.seek(next, true);
    const gap = next - file.to;
    if (gap > GAP_S) this.say(`Nothing was recorded for ${lengthOf(gap)}, from ${this.clock.time(file.to)} to ${this.clock.time(next)}.`);
  }

  onMoved() {
    this.tell.moved(this.active.at);
    const { file } = this.active;
    const next = this.shelf.after(file);
    if (next && file.to - this.active.at < AHEAD_S * this.rate) this.other.load(next);
  }

  get playing() {
    return !this.active.video.paused && !this.active.video.ended;
  }

  async start() {
    this.active.video.playbackRate = this.rate;
    try {
      await this.active.video.play();
    } catch (error) {
      if (error.name !== "AbortError") this.say(error.message); // broken off by another seek
    }
  }

  async toggle() {
    if (this.playing) return this.active.video.pause();
    if (this.active.file && !this.active.video.ended) return this.start();
    const next = this.spans.find(([from]) => from > (this.at ?? -Infinity));
    if (next) await this.seek(next[0], true);
  }

  /** By seconds; over what was not recorded. */
  skip(seconds) {
    if (this.at === null) return undefined;
    const to = this.at + seconds;
    if (this.spans.some(([from, end]) => from <= to && to <= end)) return this.seek(to);
    const near = seconds > 0 ? this.spans.find(([from]) => from > to) : this.spans.findLast(([, end]) => end < to);
    return near && this.seek(seconds > 0 ? near[0] : Math.max(near[0], near[1] + seconds));
  }

  step(frames) {
    if (!this.active.file) return;
    this.active.video.pause();
    this.active.step(frames);
  }

  faster(by) {
    const index = RATES.indexOf(this.rate) + by;
    this.rate = RATES[Math.max(0, Math.min(RATES.length - 1, index))];
    this.active.video.playbackRate = this.rate;
    this.tellChange();
  }

  toggleBoxes(on) {
    const shown = this.active.overlay.toggle(on);
    this.other.overlay.toggle(shown);
    return shown;
  }

  tellChange() {
    this.tell.changed({ playing: this.playing, rate: this.rate });
  }

  /** Unix time of what is shown, null for nothing. */
  get at() {
    return this.active.file ? this.active.at : this.wanted;
  }

  /** → media time of the picture that is shown, as events count it; null where none is. */
  get mediaS() {
    const { file, video } = this.active;
    return file ? file.start_s + video.currentTime : null;
  }

  /** → when an event began, by the clock of the recording that shows it: its own times are those of its messages. */
  async onset({ start_s: startS }, around) {
    await this.shelf.reach(around);
    const file = this.shelf.at(around);
    const unix = file ? file.from + startS - file.start_s : around;
    return Math.abs(unix - around) < NEAR_S ? unix : around; // else of another run, whose media time began anew
  }

  /** → the moment, or the beginning of what is recorded of it if that is later. */
  within(unix, until) {
    const file = this.shelf.at(until);
    return file && !this.shelf.at(unix) ? Math.max(unix, file.from) : unix;
  }
}
