// What the service refuses about a form, said at its fields: parts of it name by data-field what they are about.

import { make } from "./dom.js";

export function clearFields(form) {
  for (const line of form.querySelectorAll(".field-error")) line.remove();
  for (const input of form.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  }
}

/** Marks each field; `inside` is what stands before the names. What has no place in the form is left to the summary. */
export function markFields(form, fields, inside = "") {
  const marked = fields.map((each) => mark(form, { ...each, field: each.field.replace(inside, "") })).filter(Boolean);
  marked[0]?.focus();
}

function mark(form, { field, expected, got }) {
  const place = placeOf(form, field);
  if (!place) return null;
  const wanted = / should /.test(expected) ? expected : `expected ${expected}`; // some say it as a sentence of their own
  const words = got ? `${wanted}, got ${got}` : wanted;
  const line = make("p", { className: "field-error", id: `wrong-${field.replace(/\W/g, "-")}` }, words);
  place.append(line);
  const input = [...place.querySelectorAll("input, select, textarea")].find((each) => !each.closest("[hidden]"));
  input?.setAttribute("aria-invalid", "true");
  input?.setAttribute("aria-describedby", line.id);
  return input ?? null;
}

/** “actions.Fighting” belongs to the part about actions. */
function placeOf(form, field) {
  for (let name = field; name; name = name.split(".").slice(0, -1).join(".")) {
    const place = form.querySelector(`[data-field="${CSS.escape(name)}"]`);
    if (place && !place.hidden) return place;
  }
  return null;
}
