// Sinks: where messages about incidents go.

import { ask } from "./api.js";
import { $, act, alertLine, make, onSubmit } from "./dom.js";
import { showSecret } from "./settings_tokens.js";
import { moment } from "./times.js";

const STATE_CLASS = { ok: "good", failing: "warn", disabled: "", unreadable: "bad" };

let rights = { write: false };

async function open() {
  const { items } = await ask("GET", "v1/sinks");
  $("sinks-list").replaceChildren(...items.map(sinkRow));
  $("no-sinks").hidden = items.length > 0;
  $("sinks-form").hidden = !rights.write;
}

function whereTo({ kind, config }) {
  if (kind === "webhook") return "URL kept secret";
  const place = `${config.host}:${config.port}`;
  return kind === "email" ? `${config.recipients.join(", ")} by ${place}` : `${place}, ${config.prefix}`;
}

function whyNot(sink) {
  if (sink.state === "disabled") return sink.disabled_reason;
  if (sink.state === "failing") return `since ${moment(sink.failing_since)}`;
  return sink.state === "unreadable" ? "its secrets have to be given again" : "";
}

function sinkRow(sink) {
  const path = `v1/sinks/${encodeURIComponent(sink.id)}`;
  const problem = alertLine();
  const result = make("p", { className: "soft", role: "status" });
  const button = (text, work, properties = {}) =>
    act(make("button", { type: "button", hidden: !rights.write, aria: { label: `${text}: ${sink.name}` }, ...properties }, text), problem, work);
  const changed = (work) => async () => {
    if ((await work()) !== false) await open();
  };
  const test = async () => {
    result.textContent = "sending…";
    try {
      result.textContent = resultWords(await ask("POST", `${path}/test`));
    } catch (error) {
      result.textContent = "";
      throw error;
    }
  };
  const rotate = async () => {
    if (!window.confirm(`A new secret for ${sink.name}? The old one signs too for a day.`)) return;
    const { secret } = await ask("POST", `${path}/rotate-secret`, {});
    showSecret($("sink-secret"), `The new secret of ${sink.name}, shown once:`, secret);
  };
  return make(
    "li", {},
    make("div", { className: "entry" },
      make("span", { className: "what" }, sink.name),
      make("span", { className: `chip ${STATE_CLASS[sink.state] ?? ""}` }, sink.state),
      make("span", { className: "soft grow" }, [sink.kind, whereTo(sink), whyNot(sink)].filter(Boolean).join(" · "))),
    make("div", { className: "actions" },
      button("Test", test),
      button(sink.enabled ? "Disable" : "Enable", changed(() => ask("PATCH", path, { enabled: !sink.enabled }))),
      button("New secret", rotate, { hidden: !rights.write || sink.kind !== "webhook" }),
      button("Delete", changed(() => window.confirm(`Delete ${sink.name}? Messages that wait for it are given up.`) && ask("DELETE", path)),
        { className: "danger" })),
    result, problem,
  );
}

function resultWords({ delivered, status, error, ms }) {
  const answer = status === null ? "" : ` (${status})`;
  return delivered ? `delivered in ${ms} ms${answer}` : `not delivered${answer}: ${error}`;
}

// -- the form

const form = $("sinks-form");

function showKind() {
  for (const part of form.querySelectorAll("[data-kind]")) part.hidden = !part.dataset.kind.split(" ").includes(form.kind.value);
}

form.kind.onchange = showKind;
showKind();

function headersOf(text) {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  return Object.fromEntries(lines.map((line) => {
    const [name, ...rest] = line.split(":");
    if (!rest.length) throw new Error(`headers: expected NAME: VALUE, got ${name}`);
    return [name.trim(), rest.join(":").trim()];
  }));
}

const given = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ""));

/** What is left empty is the service's default. */
function configOf() {
  const events = { stream_events: form.stream_events.checked };
  if (form.kind.value === "webhook") return { ...events, url: form.url.value.trim(), headers: headersOf(form.headers.value) };
  const place = given({ port: form.port.value && Number(form.port.value), username: form.username.value, password: form.secret_password.value });
  const server = { ...events, host: form.host.value.trim(), ...place };
  if (form.kind.value === "mqtt") {
    return { ...server, tls: form.tls.checked, discovery: form.discovery.value, allow_commands: form.allow_commands.checked };
  }
  const recipients = form.recipients.value.split(",").map((one) => one.trim()).filter(Boolean);
  return { ...server, tls: form.smtp_tls.value, sender: form.sender.value.trim(), recipients };
}

onSubmit(form, $("sinks-error"), async () => {
  const body = { kind: form.kind.value, name: form.elements.name.value.trim(), config: configOf() };
  const { secret } = await ask("POST", "v1/sinks", body);
  form.reset();
  showKind();
  if (secret) showSecret($("sink-secret"), `The secret of ${body.name}, shown once; its receiver checks signatures with it:`, secret);
  await open();
});

export const sinks = {
  id: "sinks",
  title: "Sinks",
  mayOpen: ({ permissions }) => {
    rights = { write: permissions.includes("sinks:write") };
    return permissions.includes("sinks:read");
  },
  open,
};
