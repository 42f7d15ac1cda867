// What people say of an event: right, wrong and what it was, or unsure; from where to where it went. Everybody sees it, and
// every version stays.

import { ask } from "./api.js";
import { $, hide, leftByEscape, make, show } from "./dom.js";
import { verdictChip } from "./event_words.js";
import { unixOf } from "./times.js";

const MANY = 9; // labels; more of them get a field to narrow them
const AGREE_S = 0.05; // nearer than this nobody moved an edge

/** `own` is null for the end of an event that goes on. */
const isMoved = (edge, own) => edge !== null && (own === null || Math.abs(edge - own) > AGREE_S);
const baseOf = (model) => model?.split("@")[0];

export class Verdicts {
  /** `around`: {clock, models, may}; `player` knows what is shown; `said(id, verdict)` is told. */
  constructor(around, player, said) {
    Object.assign(this, { around, player, said });
    this.event = null;
    for (const edge of ["start", "end"]) {
      $(`verdict-${edge}`).onchange = () => this.setEdgeTyped(edge, $(`verdict-${edge}`).value);
      leftByEscape($(`verdict-${edge}`));
    }
    $("labels-narrow").oninput = () => this.drawLabels();
    $("labels-narrow").onkeydown = (press) => this.onNarrowKey(press);
    $("verdict-history").ontoggle = () => $("verdict-history").open && this.readHistory();
  }

  /** The labels that the event's network knows; a later version of a network has those of its name. */
  get labels() {
    const { models } = this.around;
    const model = this.event?.model;
    const found = models.find(({ id }) => id === model) ?? models.find(({ id }) => id === baseOf(model)) ?? models.find((each) => each.default);
    return found?.labels ?? [];
  }

  show(event) {
    this.event = event;
    $("verdict").hidden = false;
    $("labels-narrow").value = "";
    $("labels-narrow").hidden = this.labels.length <= MANY;
    $("verdict-history").open = false;
    const { verdict } = event;
    this.edges = { start: verdict?.start_s ?? event.start_s, end: event.end_s === null ? null : verdict?.end_s ?? event.end_s };
    hide($("verdict-problem"));
    this.draw();
  }

  draw() {
    const { event } = this;
    $("verdict-now").replaceChildren(...verdictChip(event.verdict), ...(event.verdict ? [] : ["Nobody has said anything yet."]));
    if (event.verdict) $("verdict-now").append(` by ${event.verdict.by}, ${this.around.clock.moment(unixOf(event.verdict.at))}`);
    $("verdict-history").hidden = !event.verdict || event.verdict.version < 2;
    for (const edge of ["start", "end"]) $(`verdict-${edge}`).value = this.edges[edge] === null ? "" : (this.edges[edge] - event.start_s).toFixed(2);
    $("verdict-end").placeholder = event.end_s === null ? "goes on" : "";
    this.drawLabels();
  }

  drawLabels() {
    const words = $("labels-narrow").value.toLowerCase();
    const said = this.event.verdict?.label ?? null;
    const shown = this.labels.map((label, index) => ({ label, index })).filter(({ label }) => label.toLowerCase().includes(words));
    $("labels").replaceChildren(...shown.slice(0, 60).map(({ label, index }) => this.labelButton(label, index, label === said)));
  }

  labelButton(label, index, said) {
    const does = () => this.sayLabel(index);
    const button = make("button", { type: "button", onclick: does, aria: { pressed: String(said) } }, this.around.palette.swatch(label), label);
    if (index < MANY) button.append(make("kbd", { aria: { hidden: "true" } }, String(index + 1)));
    return button;
  }

  onNarrowKey(press) {
    if (press.key === "Enter") $("labels").querySelector("button")?.click();
    if (press.key === "Escape" || press.key === "Enter") press.target.blur();
  }

  /** It was not what the network said; what it was is chosen now. */
  askLabel() {
    $("labels-ask").textContent = "What was it? Press its number, or choose it.";
    if ($("labels-narrow").hidden) $("labels").querySelector("button")?.focus();
    else $("labels-narrow").focus();
  }

  /** The label of a number: the network's own makes it right, any other makes it wrong. */
  sayLabel(index) {
    const label = this.labels[index];
    if (label === undefined) return undefined;
    return label === this.event.action ? this.say("right") : this.say("wrong", label);
  }

  async say(verdict, label) {
    const { event } = this;
    const body = { verdict, ...(label ? { label } : {}), ...this.moved };
    hide($("verdict-problem"));
    try {
      const stored = await ask("PUT", `v1/events/${encodeURIComponent(event.id)}/verdict`, body);
      this.said(event.id, stored);
    } catch (error) {
      show($("verdict-problem"), error);
    }
  }

  /** → the edges that are not the event's own, as the API takes them. The others stay the event's, wherever it ends. */
  get moved() {
    const names = ["start", "end"].filter((edge) => isMoved(this.edges[edge], this.event[`${edge}_s`]));
    return Object.fromEntries(names.map((edge) => [`${edge}_s`, this.edges[edge]]));
  }

  /** After it was stored: shown where the event still is the one looked at. */
  stored(event) {
    if (this.event?.id !== event.id) return;
    $("labels-ask").textContent = "";
    this.event = event;
    this.draw();
    if ($("verdict-history").open) this.readHistory();
  }

  /** An edge is where the player is. */
  setEdgeHere(edge) {
    if (this.player.mediaS !== null) this.setEdge(edge, this.player.mediaS);
  }

  /** Seconds from the event's start; nothing leaves the edge to the event. */
  setEdgeTyped(edge, text) {
    if (text === "") this.edges[edge] = this.event[`${edge}_s`];
    this.setEdge(edge, text === "" ? this.edges[edge] : this.event.start_s + Number(text));
  }

  setEdge(edge, mediaS) {
    if (Number.isFinite(mediaS)) this.edges[edge] = Math.max(0, mediaS);
    const { start, end } = this.edges;
    const inOrder = end === null || start < end;
    $("verdict-problem").hidden = inOrder;
    $("verdict-problem").textContent = inOrder ? "" : "The start has to be before the end.";
    this.draw();
  }

  async readHistory() {
    const { clock } = this.around;
    const { items } = await ask("GET", `v1/events/${encodeURIComponent(this.event.id)}/verdicts`);
    $("verdict-versions").replaceChildren(...items.map((each) =>
      make("li", {}, ...verdictChip(each), make("span", { className: "grow" }, each.by), make("time", { dateTime: each.at }, clock.moment(unixOf(each.at))))));
  }
}
