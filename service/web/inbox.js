// The list of what waits to be looked at: one event at a time is current, any number are selected.

import { ask } from "./api.js";
import { $, make, show } from "./dom.js";
import { lengthText, placeText, verdictChip } from "./event_words.js";
import { rfc3339, unixOf } from "./times.js";
import { percent } from "./words.js";

const PAGE = 50;
const LATE_S = 3600; // beside an empty list nothing is new that began so long before it was read

/** → where a page of the list is. `since`: nothing older, so that the service need not look through all that is reviewed
 * each time.
 */
export function pagePath(query, cursor = null, since = "") {
  const params = new URLSearchParams(query);
  params.set("limit", PAGE);
  if (cursor) params.set("cursor", cursor);
  if (since && !(unixOf(params.get("since") ?? "") > unixOf(since))) params.set("since", since);
  return `v1/events?${params}`;
}

export class Inbox {
  /** `around`: {clock, palette, names (id → camera)}; `opened(event)` is told which one is current, `first(event)` which
   * one stands at the top of what was read, before it is drawn.
   */
  constructor(around, opened, first) {
    Object.assign(this, { around, opened, first });
    this.items = []; // events as the API shows them
    this.rows = new Map(); // event id → its element
    this.selected = new Set();
    [this.current, this.cursor, this.query] = [null, null, ""];
    this.loads = 0;
    $("inbox-more").onclick = () => this.more();
    new IntersectionObserver(([end]) => end.isIntersecting && this.cursor && this.more(), { root: $("inbox-box") }).observe($("inbox-more"));
    $("inbox-all").onchange = () => this.selectAll($("inbox-all").checked);
  }

  /** Reads the list anew; `first` stands at its top even where the filters would leave it out. */
  async load(query, first = null) {
    const turn = (this.loads += 1);
    this.query = query;
    this.emptySince = rfc3339(Date.now() / 1000 - LATE_S);
    const page = await this.ask(null);
    if (turn !== this.loads) return; // other filters were chosen meanwhile
    this.cursor = page.next_cursor;
    this.items = first ? [first, ...page.items.filter(({ id }) => id !== first.id)] : page.items;
    if (this.items.length) this.first(this.items[0]);
    this.selected.clear();
    this.rows.clear();
    $("inbox-new").hidden = true;
    $("inbox").replaceChildren(...this.items.map((event) => this.rowOf(event)));
    this.tell();
  }

  /** What came since the list was read is told, not put in: the list does not move under somebody's hand. */
  async look() {
    const turn = this.loads;
    const newest = this.items.length ? this.items.reduce((latest, { started_at: at }) => (at > latest ? at : latest), "") : this.emptySince;
    const { items } = await this.ask(null, newest);
    const fresh = items.filter(({ id, started_at: at }) => at > newest && !this.rows.has(id)).length;
    if (turn !== this.loads) return;
    $("inbox-new").hidden = fresh === 0;
    $("inbox-new").textContent = `${fresh === PAGE ? "Many" : fresh} new: show`;
  }

  ask(cursor, since = "") {
    return ask("GET", pagePath(this.query, cursor, since));
  }

  /** One page more. */
  async more() {
    if (!this.cursor || this.loading) return;
    this.loading = true;
    const turn = this.loads;
    try {
      const page = await this.ask(this.cursor);
      if (turn !== this.loads) return;
      this.cursor = page.next_cursor;
      const fresh = page.items.filter(({ id }) => !this.rows.has(id)); // what changed meanwhile may come twice
      this.items.push(...fresh);
      $("inbox").append(...fresh.map((event) => this.rowOf(event)));
      this.tell();
    } catch (error) {
      show($("problem"), error);
    } finally {
      this.loading = false;
    }
  }

  rowOf(event) {
    const box = make("input", { type: "checkbox", checked: this.selected.has(event.id), aria: { label: `Select ${event.action}, person ${event.track_id}` } });
    box.onchange = () => this.select(event.id, box.checked);
    const open = make("button", { type: "button", className: "item", data: { keys: "" }, onclick: () => this.open(event.id) }, ...this.wordsOf(event));
    if (event.id === this.current) open.setAttribute("aria-current", "true");
    const row = make("li", { className: event.reviewed ? "seen" : "", data: { event: event.id } }, box, open);
    this.rows.set(event.id, row);
    return row;
  }

  wordsOf(event) {
    const { clock, palette, names } = this.around;
    const start = unixOf(event.started_at);
    const marks = [...verdictChip(event.verdict)];
    if (event.audit_sample) marks.push(make("span", { className: "chip" }, "audit sample"));
    if (event.reviewed) marks.push(make("span", { className: "soft" }, "reviewed"));
    return [
      make("span", { className: "line" }, palette.swatch(event.action), make("span", { className: "what" }, event.action),
        make("span", { className: "figure" }, `${percent(event.peak_confidence)} · ${lengthText(event)}`)),
      make("span", { className: "line soft" }, make("time", { dateTime: event.started_at }, `${clock.date(start)} ${clock.time(start)}`)),
      make("span", { className: "line soft" }, placeText(event, names), ...marks),
    ];
  }

  /** What was said of an event, in its row. */
  change(id, fields) {
    const index = this.items.findIndex((event) => event.id === id);
    if (index < 0) return null;
    this.items[index] = { ...this.items[index], ...fields };
    const [before, focused] = [this.rows.get(id), this.rows.get(id).contains(document.activeElement)];
    const row = this.rowOf(this.items[index]);
    before.replaceWith(row);
    if (focused) row.querySelector(".item").focus();
    return this.items[index];
  }

  get event() {
    return this.items.find(({ id }) => id === this.current) ?? null;
  }

  /** Makes an event current. `quiet` where whoever asks looks at it already. */
  open(id, quiet = false) {
    this.rows.get(this.current)?.querySelector(".item").removeAttribute("aria-current");
    this.current = id;
    const row = this.rows.get(id);
    row?.querySelector(".item").setAttribute("aria-current", "true");
    row?.scrollIntoView({ block: "nearest" });
    if (!quiet && this.event) this.opened(this.event);
  }

  /** To the next one, or the one before; `extend` selects what is passed. */
  async move(by, extend = false) {
    const index = this.items.findIndex(({ id }) => id === this.current);
    if (by > 0 && index >= this.items.length - 2) await this.more();
    const next = this.items[Math.max(0, Math.min(this.items.length - 1, index + by))];
    if (!next) return;
    if (extend) for (const id of [this.current, next.id]) if (this.rows.has(id)) this.select(id, true);
    this.open(next.id);
    this.rows.get(next.id).querySelector(".item").focus({ preventScroll: true });
  }

  select(id, on) {
    if (on) this.selected.add(id);
    else this.selected.delete(id);
    this.rows.get(id).querySelector("input").checked = on;
    this.tell();
  }

  selectAll(on) {
    for (const { id } of this.items) this.select(id, on);
  }

  /** → ids that a command is about: those selected, or the current one. */
  get meant() {
    return this.selected.size ? [...this.selected] : this.current ? [this.current] : [];
  }

  tell() {
    const count = `${this.items.length}${this.cursor ? " and more" : ""}`;
    const selected = this.selected.size ? `, ${this.selected.size} selected` : "";
    $("inbox-count").textContent = this.items.length ? `${count} ${this.items.length === 1 ? "event" : "events"}${selected}` : "";
    $("inbox-none").hidden = this.items.length > 0;
    $("inbox-more").hidden = !this.cursor;
    $("inbox-all").checked = this.items.length > 0 && this.selected.size === this.items.length;
  }
}
