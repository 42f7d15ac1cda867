// Networks and their versions: what serves, what was refused and why, what a shadow would have told, promote and roll back.

import { ask, askAll } from "./api.js";
import { $, act, alertLine, hide, make, onSubmit, show } from "./dom.js";
import { gateWords } from "./gate.js";
import { showShell } from "./shell.js";
import { moment } from "./times.js";
import { count, facts, percent, rounded, table } from "./words.js";

const POLL_MS = 15_000;
const STATE_CLASS = { serving: "good", shadow: "warn", passed: "good", refused: "bad", forced: "warn", former: "" };
const STATE_WORDS = { serving: "serving", shadow: "in the shadow", passed: "passed", refused: "refused", forced: "forced", former: "former" };

let mayWrite = false;
let decide = null; // what the open dialog does: ({reason, force}) → promise

async function refresh() {
  const models = await askAll("v1/models");
  const versions = await Promise.all(models.map(({ id }) => versionsOf(id)));
  $("models").replaceChildren(...models.map((model, place) => section(model, versions[place])));
  $("no-models").hidden = models.length > 0;
}

/** → versions, newest first; null where the service keeps none of this network. */
async function versionsOf(alias) {
  try {
    return (await ask("GET", `v1/models/${encodeURIComponent(alias)}/versions`)).items;
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

function section(model, versions) {
  const title = make("h2", { id: `model-${model.id}` }, model.id, " ");
  if (model.default) title.append(make("span", { className: "chip good" }, "default"));
  const parts = versions === null
    ? [make("p", { className: "soft" }, "There is one version of it, as it lies in the weights folder.")]
    : versions.map((version) => versionPart(model.id, version));
  return make("section", { aria: { labelledby: title.id } }, title, about(model), ...parts);
}

const about = (model) => facts([
  ["Serves", model.version], ["Architecture", model.kind], ["Labels", model.labels.slice(0, 12).join(", ") + (model.labels.length > 12 ? ` and ${model.labels.length - 12} more` : "")],
  ["Lighter network", model.light], ["Runs on", model.runtime], ["Measured", metricsWords(model.metrics)], ["Licence", model.licence],
]);

const metricsWords = (metrics) => Object.entries(metrics ?? {}).map(([name, value]) => `${name.replaceAll("_", " ")} ${rounded(value, 3)}`).join(", ");

// -- one version

function versionPart(alias, version) {
  const problem = alertLine();
  const head = make("div", { className: "entry" },
    make("strong", {}, version.version),
    make("span", { className: `chip ${STATE_CLASS[version.state] ?? ""}` }, STATE_WORDS[version.state] ?? version.state),
    make("span", { className: "soft" }, bornWords(version)));
  return make("article", { className: "version", aria: { label: version.version } },
    head,
    facts([["Measured", metricsWords(version.metrics)]]),
    ...gateWords(version.gate),
    ...shadowWords(version.shadow),
    make("div", { className: "actions" }, ...(mayWrite ? actions(alias, version, problem) : [])),
    problem);
}

function bornWords({ created_at: createdAt, parent, corrections }) {
  const learnt = corrections ? `with ${count(corrections, "correction")}` : "";
  return [createdAt && moment(createdAt), parent && `from ${parent}`, learnt].filter(Boolean).join(", ");
}

function shadowWords(shadow) {
  if (!shadow) return [];
  const share = shadow.agreement === null ? "" : `, the same label in ${percent(shadow.agreement)}`;
  const state = shadow.ready ? "Ready to decide." : `Not ready: ${shadow.why}`;
  return [
    make("p", {}, `Shadow: ${count(shadow.clips, "clip")} in ${rounded(shadow.hours)} h${share}. ${state}`),
    table("What the shadow would have told", ["Camera", "Clips", "Same label", "Alerts a day now", "Alerts a day then"], shadow.by_stream.map((each) =>
      [each.name, each.clips.toLocaleString(), figure(each.agreement, percent), figure(each.alerts_a_day_champion), figure(each.alerts_a_day_challenger)])),
  ];
}

const figure = (value, words = (number) => rounded(number, 1)) => (value === null || value === undefined ? "–" : words(value));

function actions(alias, version, problem) {
  const path = `v1/models/${encodeURIComponent(alias)}`;
  const button = (text, work) => act(make("button", { type: "button", aria: { label: `${text}: ${version.version}` } }, text), problem, work);
  const shadow = (wanted) => async () => {
    await ask("POST", `${path}/shadow`, { version: wanted });
    await refresh();
  };
  if (version.state === "serving") {
    return version.rolls_back_to ? [button("Roll back", async () => askRollback(path, version))] : [];
  }
  const inShadow = version.state === "shadow";
  return [
    button(inShadow ? "End the shadow" : "Into the shadow", shadow(inShadow ? null : version.version)),
    button("Promote", async () => askPromotion(path, version)),
  ];
}

// -- decisions, which need a reason

function openDecision(title, words, button, force, work) {
  $("decision-form").reset();
  hide($("decision-error"));
  $("decision-title").textContent = title;
  $("decision-words").textContent = words;
  $("decision-force").hidden = !force;
  $("decision-form").querySelector("[type=submit]").textContent = button;
  decide = work;
  $("decision").showModal();
}

function askPromotion(path, version) {
  const sure = version.gate?.passed && (!version.shadow || version.shadow.ready);
  const words = sure ? "It takes over between two clips; streams and the IDs of people go on." : doubtWords(version);
  openDecision(`Promote ${version.version}`, words, "Promote", !version.gate?.passed, ({ reason, force }) =>
    ask("POST", `${path}/promote`, { version: version.version, reason, force }));
}

function doubtWords({ gate, shadow }) {
  if (!gate) return "It was not examined. It takes over only if you insist.";
  if (!gate.passed) return "It was refused. It takes over only if you insist.";
  return `Its shadow is not ready: ${shadow.why}. You may wait, or promote it now.`;
}

function askRollback(path, version) {
  openDecision(`Roll back ${version.version}`, `${version.rolls_back_to} takes over again, between two clips.`, "Roll back", false, ({ reason }) =>
    ask("POST", `${path}/rollback`, { reason }));
}

onSubmit($("decision-form"), $("decision-error"), async (form) => {
  if (!form.reason.value.trim()) throw Object.assign(new Error("Give a reason: it stands in the audit."), { fields: [{ field: "reason" }] });
  try {
    await decide({ reason: form.reason.value.trim(), force: form.force.checked });
  } catch (error) {
    if (error.status === 409) $("decision-force").hidden = false; // something speaks against it; whoever may, may insist
    throw error;
  }
  $("decision").close();
  await refresh();
});
$("decision-cancel").onclick = () => $("decision").close();

async function begin() {
  const { permissions } = await showShell("models");
  mayWrite = permissions.includes("models:write");
  await refresh();
  setInterval(() => {
    // Not under somebody's hands: buttons are made anew.
    if (!document.hidden && !$("decision").open && !$("models").contains(document.activeElement)) refresh().then(() => hide($("problem")), (error) => show($("problem"), error));
  }, POLL_MS);
}

begin().catch((error) => show($("problem"), error));
