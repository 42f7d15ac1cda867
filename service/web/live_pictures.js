// Pictures of many cameras by one request: a browser holds six connections to one server. Each comes with its people.

import { at, toLogin } from "./api.js";
import { sleep } from "./shell.js";

const RETRY_MS = 1000;
const END_OF_HEAD = [13, 10, 13, 10];

/** What a server sends, as it is asked for. */
class Bytes {
  constructor(reader) {
    this.reader = reader;
    this.held = new Uint8Array(0);
  }

  async more() {
    const { done, value } = await this.reader.read();
    if (done) throw new Error("The service ended the pictures.");
    const both = new Uint8Array(this.held.length + value.length);
    both.set(this.held);
    both.set(value, this.held.length);
    this.held = both;
  }

  async take(count) {
    while (this.held.length < count) await this.more();
    const taken = this.held.slice(0, count);
    this.held = this.held.slice(count);
    return taken;
  }

  /** → all up to and with an empty line. */
  async takeHead() {
    for (let from = 0; ; ) {
      const end = endOf(this.held, from);
      if (end >= 0) return new TextDecoder().decode(await this.take(end));
      from = Math.max(0, this.held.length - END_OF_HEAD.length + 1); // it may begin in what is here
      await this.more();
    }
  }
}

function endOf(bytes, from) {
  for (let place = bytes.indexOf(13, from); place >= 0; place = bytes.indexOf(13, place + 1)) {
    if (END_OF_HEAD.every((byte, index) => bytes[place + index] === byte)) return place + END_OF_HEAD.length;
  }
  return -1;
}

/** → the content of the next part of a multipart answer, uint8. */
async function nextPart(bytes) {
  const head = await bytes.takeHead();
  const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? NaN);
  if (!Number.isSafeInteger(length)) throw new Error("The service sent something else than pictures.");
  const content = await bytes.take(length);
  await bytes.take(2); // the line's end behind it
  return content;
}

/** Streams that are watched; `show(message, bitmap)` gets each picture with the `tracks` message about it. */
export class LivePictures {
  constructor(show) {
    this.show = show;
    this.wanted = "";
    this.stop = null;
    document.addEventListener("visibilitychange", () => this.restart()); // nobody sees a page in the background
  }

  /** `full`: ids of those that are wanted large. The same wish again changes nothing. */
  watch(ids, full) {
    const query = new URLSearchParams([...ids.map((id) => ["stream", id]), ...full.map((id) => ["full", id])]);
    const wanted = ids.length ? String(query) : "";
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    this.restart();
  }

  restart() {
    this.stop?.abort();
    this.stop = null;
    if (!this.wanted || document.hidden) return;
    this.stop = new AbortController();
    this.keepReading(this.wanted, this.stop.signal);
  }

  async keepReading(query, signal) {
    while (!signal.aborted) {
      try {
        await this.read(query, signal);
      } catch {
        if (!signal.aborted) await sleep(RETRY_MS); // the tiles tell how old their pictures are
      }
    }
  }

  async read(query, signal) {
    const answer = await fetch(at(`v1/live?${query}`), { signal });
    if (answer.status === 401) toLogin();
    if (!answer.ok) throw new Error(`The service answered ${answer.status}.`);
    const bytes = new Bytes(answer.body.getReader());
    for (;;) {
      const message = JSON.parse(new TextDecoder().decode(await nextPart(bytes)));
      const picture = new Blob([await nextPart(bytes)], { type: "image/jpeg" });
      const bitmap = await createImageBitmap(picture).catch(() => null); // a picture that is none is passed over
      if (signal.aborted) return;
      if (bitmap) this.show(message, bitmap);
    }
  }
}
