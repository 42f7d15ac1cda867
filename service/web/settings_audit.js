// The audit: who did what, newest first.

import { $, make, onSubmit } from "./dom.js";
import { pages } from "./settings_deliveries.js";
import { moment } from "./times.js";

const STATE_CLASS = { ok: "good", refused: "warn", failed: "bad" };

function auditRow(entry) {
  const detail = Object.entries(entry.detail ?? {}).map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
  const parts = [entry.object, entry.address && `from ${entry.address}`, ...detail];
  return make(
    "li", {},
    make("div", { className: "entry" },
      make("time", { dateTime: entry.at }, moment(entry.at)),
      make("span", { className: "what" }, entry.action),
      make("span", { className: `chip ${STATE_CLASS[entry.result] ?? ""}` }, entry.result),
      make("span", {}, entry.principal),
      make("span", { className: "soft grow" }, parts.filter(Boolean).join(" · "))),
  );
}

const list = pages("audit", "v1/audit", auditRow);
const form = $("audit-form");
const reload = () => list.begin({ principal: form.principal.value.trim(), action: form.elements.action.value.trim() });

onSubmit(form, $("problem"), reload);

export const audit = {
  id: "audit",
  title: "Audit",
  mayOpen: ({ permissions }) => permissions.includes("audit:read"),
  open: reload,
};
