// API tokens: what programs come in with. A token is shown once, when it is made.

import { ask } from "./api.js";
import { $, act, alertLine, make, onSubmit } from "./dom.js";
import { grantsEditor, grantWords } from "./settings_users.js";
import { moment } from "./times.js";

const DAY_MS = 24 * 3600 * 1000;

let grants = null;
let rights = { write: false };

async function open() {
  grants ??= grantsEditor($("tokens-grants"));
  const { items } = await ask("GET", "v1/tokens");
  $("tokens-list").replaceChildren(...items.map(tokenRow));
  $("no-tokens").hidden = items.length > 0;
  $("tokens-form").hidden = !rights.write;
}

function stateOf({ revoked_at: revoked, expires_at: expires }) {
  if (revoked) return "revoked";
  return expires && new Date(expires) <= new Date() ? "expired" : "valid";
}

function tokenRow(token) {
  const state = stateOf(token);
  const problem = alertLine();
  const revoke = make("button", { type: "button", className: "danger", hidden: !rights.write || state === "revoked" }, "Revoke");
  revoke.setAttribute("aria-label", `Revoke: ${token.name}`);
  act(revoke, problem, async () => {
    if (!window.confirm(`Revoke ${token.name}? Whatever uses it stops working.`)) return;
    await ask("DELETE", `v1/tokens/${encodeURIComponent(token.id)}`);
    await open();
  });
  const used = token.used_at ? `used ${moment(token.used_at)}` : "never used";
  const ends = token.expires_at ? `ends ${moment(token.expires_at)}` : "never ends";
  return make(
    "li", {},
    make("div", { className: "entry" },
      make("span", { className: "what" }, token.name),
      make("span", { className: `chip ${state === "valid" ? "good" : ""}` }, state),
      make("span", { className: "soft grow" }, `acto_${token.id}_… · ${token.scopes.join(", ")} · ${grantWords(token.grants)} · ${ends} · ${used}`)),
    make("div", { className: "actions" }, revoke),
    problem,
  );
}

/** Shows a secret that will not be shown again, with a button that copies it. */
export function showSecret(place, words, secret) {
  const copy = make("button", { type: "button" }, "Copy");
  copy.onclick = async () => {
    await navigator.clipboard?.writeText(secret);
    copy.textContent = "Copied";
  };
  place.replaceChildren(`${words} `, make("code", {}, secret), " ", copy);
  place.hidden = false;
}

onSubmit($("tokens-form"), $("tokens-error"), async (form) => {
  const scopes = [...form.querySelectorAll("[name=scopes]:checked")].map(({ value }) => value);
  const days = form.days.value;
  const expires = days ? new Date(Date.now() + Number(days) * DAY_MS).toISOString() : null;
  const body = { name: form.elements.name.value, scopes, grants: grants.value(), expires_at: expires };
  const { token } = await ask("POST", "v1/tokens", body);
  form.reset();
  showSecret($("token-secret"), "This token is shown once:", token);
  await open();
});

export const tokens = {
  id: "tokens",
  title: "API tokens",
  mayOpen: ({ permissions }) => {
    rights = { write: permissions.includes("tokens:write") };
    return permissions.includes("tokens:read");
  },
  open,
};
