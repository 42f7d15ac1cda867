// The dialog that zones are drawn in, for every page that offers it.

import { alertLine, make, makeSvg } from "./dom.js";

export function zonesDialog() {
  const dialog = make("dialog", { id: "zones", aria: { labelledby: "zones-title" } },
    make("div", { className: "player-head" },
      make("h2", { id: "zones-title" }, "Zones"),
      make("button", { id: "zones-close", type: "button" }, "Close")),
    make("div", { className: "zones" }, stage(), side()));
  return dialog;
}

function stage() {
  const label = "Picture: arrow keys move the cross, Enter adds a point";
  const drawing = makeSvg("svg", { id: "zones-drawing", viewBox: "0 0 1000 1000", preserveAspectRatio: "none", "aria-hidden": "true" });
  const whole = make("div", { id: "zones-stage", className: "stage", tabIndex: 0, aria: { label, describedby: "zones-hint" } },
    make("img", { id: "zones-still", alt: "Still of the stream" }),
    drawing,
    make("div", { id: "zones-handles" }));
  whole.setAttribute("role", "application");
  return whole;
}

function side() {
  const note = make("p", { id: "zones-note", className: "soft" });
  note.setAttribute("role", "status");
  const problem = Object.assign(alertLine(), { id: "zones-problem" });
  return make("div", {},
    note,
    make("ul", { id: "zones-list", className: "rows" }),
    make("p", { id: "no-zones", className: "empty" }, "No zone yet."),
    make("p", { id: "zones-hint", className: "soft" }),
    problem,
    make("div", { className: "actions" },
      make("button", { id: "zones-new", type: "button" }, "New zone"),
      make("button", { id: "zones-save", type: "button", className: "primary" }, "Save")));
}
