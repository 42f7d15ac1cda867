// Deliveries: the messages that went or go to sinks. Also the way in which long lists are shown page by page.

import { ask } from "./api.js";
import { $, act, alertLine, make } from "./dom.js";
import { moment } from "./times.js";

const PAGE = 50;
const STATE_CLASS = { delivered: "good", pending: "warn", leased: "warn", dead: "bad", expired: "" };

/** Shows a list of the API in `NAME-list`, with `NAME-more` for its next page. → {begin(query)} */
export function pages(name, path, makeRow) {
  let query = "";
  let cursor = null;
  const next = async () => {
    const page = await ask("GET", `${path}?limit=${PAGE}${query}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    if (!cursor) $(`${name}-list`).replaceChildren();
    $(`${name}-list`).append(...page.items.map(makeRow));
    cursor = page.next_cursor;
    $(`${name}-more`).hidden = !cursor;
    $(`no-${name}`).hidden = $(`${name}-list`).children.length > 0;
  };
  act($(`${name}-more`), $("problem"), next);
  const begin = async (wanted) => {
    const parameters = Object.entries(wanted).filter(([, value]) => value);
    query = parameters.map(([key, value]) => `&${key}=${encodeURIComponent(value)}`).join("");
    cursor = null;
    await next();
  };
  return { begin };
}

let names = new Map(); // id of a sink → its name
let rights = { retry: false };

const list = pages("deliveries", "v1/deliveries", (delivery) => deliveryRow(delivery));
const reload = () => list.begin({ state: $("deliveries-state").value });

function deliveryRow(delivery) {
  const problem = alertLine();
  const again = make("button", { type: "button", aria: { label: `Retry ${delivery.id}` } }, "Retry");
  again.hidden = !rights.retry || delivery.state === "delivered" || delivery.state === "leased";
  act(again, problem, async () => {
    await ask("POST", `v1/deliveries/${encodeURIComponent(delivery.id)}/retry`);
    await reload();
  });
  const tries = delivery.attempts === 1 ? "1 attempt" : `${delivery.attempts} attempts`;
  const parts = [delivery.type, delivery.incident_id, tries, delivery.next_at && `next ${moment(delivery.next_at)}`, delivery.last_error];
  return make(
    "li", {},
    make("div", { className: "entry" },
      make("time", { dateTime: delivery.created_at }, moment(delivery.created_at)),
      make("span", { className: "what" }, names.get(delivery.sink_id) ?? delivery.sink_id),
      make("span", { className: `chip ${STATE_CLASS[delivery.state] ?? ""}` }, delivery.state),
      make("span", { className: "soft grow" }, parts.filter(Boolean).join(" · ")),
      again),
    problem,
  );
}

async function open() {
  const { items } = await ask("GET", "v1/sinks");
  names = new Map(items.map(({ id, name }) => [id, name]));
  await reload();
}

$("deliveries-state").onchange = reload;

export const deliveries = {
  id: "deliveries",
  title: "Deliveries",
  mayOpen: ({ permissions }) => {
    rights = { retry: permissions.includes("deliveries:retry") };
    return permissions.includes("deliveries:read");
  },
  open,
};
