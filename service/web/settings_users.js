// Users: who may log in, and what they may see. Also the editor of grants, which tokens have too.

import { ask } from "./api.js";
import { $, act, alertLine, make, onSubmit } from "./dom.js";
import { moment } from "./times.js";

const ROLES = ["viewer", "operator", "admin"];

/** Grants as people read them. */
export const grantWords = (grants) =>
  grants.map(({ role, streams, history_since: since }) =>
    `${role} of ${streams === "*" ? "all streams" : streams}${since ? ` since ${moment(since)}` : ""}`).join(", ");

/** An editor in `place`, a fieldset. → {value(), set(grants)} */
export function grantsEditor(place) {
  const list = make("div", { className: "grants" });
  const more = make("button", { type: "button", onclick: () => list.append(grantRow()) }, "Add another");
  place.append(list, more);
  const set = (grants) => list.replaceChildren(...grants.map(grantRow));
  set([{ role: "viewer", streams: "*", history_since: null }]);
  return { set, value: () => [...list.children].map(grantOf) };
}

function grantRow({ role = "viewer", streams = "", history_since: since = null } = {}) {
  const roles = make("select", { name: "role", aria: { label: "Role" } }, ...ROLES.map((name) => make("option", {}, name)));
  roles.value = role;
  const which = make("input", { name: "streams", value: streams, placeholder: "*, str_…, group:NAME", aria: { label: "Streams" } });
  which.setAttribute("list", "stream-choices");
  const from = make("input", { name: "history_since", type: "datetime-local", aria: { label: "Nothing from before" } });
  if (since) from.value = localTime(since);
  from.dataset.exact = since ?? ""; // the field knows minutes only
  const row = make("div", { className: "grant" }, roles, "of", which, make("span", {}, "since"), from);
  row.append(make("button", { type: "button", onclick: () => row.remove(), aria: { label: "Take this grant away" } }, "✕"));
  return row;
}

const localTime = (text) => {
  const time = new Date(text);
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
};

function grantOf(row) {
  const { value: since, dataset } = row.querySelector("[name=history_since]");
  const same = dataset.exact && localTime(dataset.exact) === since;
  return {
    role: row.querySelector("[name=role]").value,
    streams: row.querySelector("[name=streams]").value.trim(),
    history_since: same ? dataset.exact : since ? new Date(since).toISOString() : null,
  };
}

let grants = null;
let rights = { write: false };

async function open() {
  grants ??= grantsEditor($("users-grants"));
  const { items } = await ask("GET", "v1/users");
  if (!items.length) grants.set([{ role: "admin", streams: "*" }]);
  $("users-list").replaceChildren(...items.map(userRow));
  $("no-users").hidden = items.length > 0;
  $("users-form").hidden = !rights.write;
}

function userRow(user) {
  const path = `v1/users/${encodeURIComponent(user.id)}`;
  const problem = alertLine();
  const button = (text, work, properties = {}) =>
    act(make("button", { type: "button", hidden: !rights.write, aria: { label: `${text}: ${user.name}` }, ...properties }, text), problem, async () => {
      if ((await work()) !== false) await open();
    });
  const changing = make("div", { className: "form", hidden: true });
  const change = make("button", { type: "button", hidden: !rights.write, aria: { label: `Change: ${user.name}` } }, "Change");
  change.onclick = () => {
    if (changing.hidden && !changing.children.length) changing.append(...userForm(user, path, problem));
    changing.hidden = !changing.hidden;
  };
  return make(
    "li", {},
    make("div", { className: "entry" },
      make("span", { className: "what" }, user.name),
      make("span", { className: `chip ${user.enabled ? "good" : ""}` }, user.enabled ? "enabled" : "disabled"),
      make("span", { className: "soft grow" }, grantWords(user.grants))),
    make("div", { className: "actions" }, change,
      button(user.enabled ? "Disable" : "Enable", () => ask("PATCH", path, { enabled: !user.enabled })),
      button("Remove", () => window.confirm(`Remove ${user.name}?`) && ask("DELETE", path), { className: "danger" })),
    changing, problem,
  );
}

/** What of a user can be changed; a password only where one is written. */
function userForm(user, path, problem) {
  const password = make("input", { type: "password", maxLength: 1024, autocomplete: "new-password" });
  const place = make("fieldset", {}, make("legend", {}, "May"));
  const editor = grantsEditor(place);
  editor.set(user.grants);
  const save = act(make("button", { type: "button", className: "primary" }, "Save"), problem, async () => {
    const changes = { grants: editor.value() };
    if (password.value) changes.password = password.value;
    await ask("PATCH", path, changes);
    await open();
  });
  return [make("label", {}, "New password (empty: stays)", password), place, save];
}

onSubmit($("users-form"), $("users-error"), async (form) => {
  await ask("POST", "v1/users", { name: form.elements.name.value, password: form.password.value, grants: grants.value() });
  form.reset();
  grants.set([{ role: "viewer", streams: "*" }]);
  await open();
});

export const users = {
  id: "users",
  title: "Users",
  mayOpen: ({ permissions }) => {
    rights = { write: permissions.includes("users:write") };
    return permissions.includes("users:read");
  },
  open,
};
