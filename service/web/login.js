// The log-in page: a name and a password become a session, then back to the page that asked for it.

import { afterLogin, request } from "./api.js";
import { $, onSubmit } from "./dom.js";

onSubmit($("login"), $("login-error"), async (form) => {
  await request("POST", "v1/login", { name: form.elements.name.value, password: form.password.value });
  location.replace(afterLogin());
});

/** Whoever is known already has no business here. Nobody who types already is moved to another field. */
async function begin() {
  try {
    await request("GET", "v1/me");
    location.replace(afterLogin());
  } catch {
    if (!$("login").contains(document.activeElement)) $("login").elements.name.focus();
  }
}

begin();
