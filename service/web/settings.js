// Settings: one section at a time, by the address's #name; only those that the principal may see exist.

import { askAll, request } from "./api.js";
import { $, make, onSubmit, show } from "./dom.js";
import { audit } from "./settings_audit.js";
import { deliveries } from "./settings_deliveries.js";
import { sinks } from "./settings_sinks.js";
import { tokens } from "./settings_tokens.js";
import { users } from "./settings_users.js";
import { showShell } from "./shell.js";

const account = { id: "account", title: "Password", mayOpen: ({ kind }) => kind === "user", open: async () => {} };
const SECTIONS = [users, tokens, sinks, deliveries, audit, account];

let open = []; // what this principal may see

onSubmit($("password-form"), $("password-error"), async (form) => {
  $("password-done").textContent = "";
  // A wrong old password is a 401 too, which is no reason to log in again.
  await request("PATCH", "v1/me", { old_password: form.old_password.value, password: form.password.value });
  form.reset();
  $("password-done").textContent = "The password is changed; other sessions have ended.";
});

async function begin() {
  const principal = await showShell("settings");
  open = SECTIONS.filter((section) => section.mayOpen(principal));
  $("sections").replaceChildren(...open.map(({ id, title }) => make("a", { href: `#${id}` }, title)));
  if (!open.length) throw new Error("There is nothing here that you may change.");
  if (principal.permissions.includes("streams:read")) await offerStreams();
  window.onhashchange = showSection;
  await showSection();
}

/** Choices for what a grant is about. */
async function offerStreams() {
  const streams = await askAll("v1/streams");
  const groups = [...new Set(streams.flatMap(({ groups }) => groups ?? []))];
  $("stream-choices").append(
    ...groups.map((name) => make("option", { value: `group:${name}` }, "group")),
    ...streams.map(({ id, name }) => make("option", { value: id }, name)),
  );
}

async function showSection() {
  const wanted = open.find(({ id }) => `#${id}` === location.hash) ?? open[0];
  for (const { id } of SECTIONS) $(id).hidden = id !== wanted.id;
  for (const link of $("sections").children) {
    if (link.hash === `#${wanted.id}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  $("problem").hidden = true;
  try {
    await wanted.open();
  } catch (error) {
    show($("problem"), error);
  }
}

begin().catch((error) => show($("problem"), error));
