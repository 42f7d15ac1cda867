// Lists that a form grows and shrinks: one line an entry, each with a button that takes it away.

import { make } from "./dom.js";

export class Lines {
  /** `makeLine(value)` → {parts: elements, read: () → value}. */
  constructor(place, addButton, makeLine) {
    this.place = place;
    this.makeLine = makeLine;
    this.lines = [];
    addButton.onclick = () => this.add().querySelector("input, select").focus();
    this.addButton = addButton;
  }

  add(value) {
    const { parts, read } = this.makeLine(value);
    const line = { read, element: make("div", { className: "line" }, ...parts) };
    const remove = () => {
      this.lines.splice(this.lines.indexOf(line), 1);
      line.element.remove();
      this.addButton.focus();
    };
    line.element.append(make("button", { type: "button", className: "danger", onclick: remove }, "Remove"));
    this.lines.push(line);
    this.place.append(line.element);
    return line.element;
  }

  set(values) {
    this.lines = [];
    this.place.replaceChildren();
    for (const value of values) this.add(value);
  }

  values() {
    return this.lines.map(({ read }) => read());
  }
}
