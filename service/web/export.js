// The export of a case: which cameras, from when to when, what is drawn and what is hidden; how far it is; the file.

import { ask, askAll } from "./api.js";
import { act, alertLine, hide, make, onSubmit } from "./dom.js";
import { rfc3339, unixOf } from "./times.js";
import { bytes, duration, percent } from "./words.js";

const POLL_MS = 1000;
const SHOWN = 8; // earlier exports
const STATE_LOOK = { done: "good", failed: "bad", running: "warn", queued: "warn" };

/**
 * Opens the dialog. `wanted`: {title, streams: [ids], since, until (Unix), tracks: [[stream id, track id], …], incident?};
 * `around`: {clock, streams: [{id, name}], may: {write}}.
 */
export async function openExport(wanted, around) {
  const past = { ...wanted, until: Math.min(wanted.until, Math.floor(Date.now() / 1000)) };
  const parts = makeDialog(past, around);
  document.body.append(parts.dialog);
  parts.dialog.showModal();
  parts.dialog.onclose = () => parts.dialog.remove();
  await showExports(parts, around);
}

function makeDialog(wanted, around) {
  const list = make("ul", { className: "rows entries", aria: { label: "Exports" } });
  const note = make("p", { className: "soft", role: "status" });
  const form = makeForm(wanted, around);
  const problem = alertLine();
  form.append(problem, make("button", { type: "submit", className: "primary" }, "Export"));
  form.hidden = !around.may.write;
  const dialog = make("dialog", { id: "export", aria: { labelledby: "export-title" } });
  const close = make("button", { type: "button", onclick: () => dialog.close() }, "Close");
  dialog.append(make("div", { className: "player-head" }, make("h2", { id: "export-title" }, "Export"), close), form, note, list);
  const parts = { dialog, form, note, list };
  onSubmit(form, problem, async () => {
    await ask("POST", "v1/exports", bodyOf(form, wanted, around));
    await showExports(parts, around);
  });
  return parts;
}

function makeForm(wanted, { clock, streams }) {
  const field = (title, properties) => make("label", {}, title, make("input", properties));
  const time = (name, title, unix) => {
    const label = field(`${title} (${clock.zone})`, { name, type: "datetime-local", step: 1, required: true, value: clock.local(unix) });
    label.lastChild.dataset.was = label.lastChild.value; // it knows no offset: what nobody changes is taken as it was
    return label;
  };
  const check = (name, text, checked = false) => make("label", { className: "check" }, make("input", { type: "checkbox", name, checked }), text);
  const cameras = streams.map(({ id, name }) => {
    const box = make("input", { type: "checkbox", name: "streams", value: id, checked: wanted.streams.includes(id) });
    return make("label", { className: "check" }, box, name);
  });
  const whose = wanted.tracks.length ? "Blur everybody but the person of the event" : "Blur everybody";
  return make("form", { className: "form", noValidate: true, autocomplete: "off" },
    field("Name", { name: "name", maxLength: 200, value: wanted.title }),
    make("fieldset", { className: "checks" }, make("legend", {}, "Cameras"), ...cameras),
    make("div", { className: "pair" }, time("since", "From", wanted.since), time("until", "Until", wanted.until)),
    check("overlay", "Boxes and labels drawn into the pictures"),
    check("pixelate_others", whose),
    check("cvat", "Boxes and labels for CVAT beside the video"));
}

function bodyOf(form, wanted, { clock }) {
  const { elements } = form;
  const exact = (name, unix) => {
    const { value, dataset } = elements[name];
    return value === dataset.was ? unix : clock.fromLocal(value, name === "until");
  };
  const [since, until] = [exact("since", wanted.since), exact("until", wanted.until)];
  if (since === null || until === null) throw new Error("Expected a date and a time, from and until.");
  const name = elements.name.value.trim();
  return {
    ...(name ? { name } : {}),
    streams: [...form.querySelectorAll("[name=streams]:checked")].map(({ value }) => value),
    since: rfc3339(since),
    until: rfc3339(until),
    overlay: elements.overlay.checked,
    pixelate_others: elements.pixelate_others.checked,
    ...(elements.pixelate_others.checked && wanted.tracks.length ? { keep_tracks: wanted.tracks } : {}),
    cvat: elements.cvat.checked,
  };
}

/** The newest exports, and on as long as one of them is not finished and the dialog is open. */
async function showExports(parts, around) {
  const turn = (parts.turn = (parts.turn ?? 0) + 1);
  while (parts.dialog.isConnected && turn === parts.turn) {
    let items;
    try {
      ({ items } = await ask("GET", `v1/exports?limit=${SHOWN}`));
    } catch (error) {
      return refuse(parts, error);
    }
    parts.list.replaceChildren(...items.map((each) => rowOf(each, parts, around)));
    parts.note.textContent = items.length ? "" : "Nothing was exported yet.";
    if (!items.some(({ state }) => state === "queued" || state === "running")) return;
    await new Promise((wake) => setTimeout(wake, POLL_MS));
  }
}

function refuse({ form, note, list }, error) {
  form.hidden = error.status === 404 || form.hidden;
  list.replaceChildren();
  note.textContent = error.status === 404 ? "This service has no exports." : error.message;
}

function rowOf(item, parts, around) {
  const problem = alertLine();
  const remove = make("button", { type: "button", className: "danger", hidden: !around.may.write, aria: { label: `Delete ${item.name}` } }, "Delete");
  act(remove, problem, async () => {
    await ask("DELETE", `v1/exports/${encodeURIComponent(item.id)}`);
    hide(problem);
    await showExports(parts, around);
  });
  const entry = make("div", { className: "entry" },
    make("span", { className: "what" }, item.name),
    make("span", { className: `chip ${STATE_LOOK[item.state] ?? ""}` }, item.state),
    make("span", { className: "soft grow" }, wordsOf(item, around.clock)));
  if (item.file) entry.append(make("a", { className: "button", href: item.file, download: "" }, "Download"));
  entry.append(remove);
  const bar = item.state === "running" ? [make("progress", { max: 1, value: item.progress, aria: { label: `Progress of ${item.name}` } })] : [];
  const sum = item.sha256 ? [make("p", { className: "soft sum" }, `SHA-256 ${item.sha256}`)] : [];
  return make("li", {}, entry, ...bar, ...sum, problem);
}

function wordsOf({ state, progress, eta_s: eta, reason, since, until, bytes: size }, clock) {
  const parts = [`${clock.moment(unixOf(since))} – ${clock.time(unixOf(until))}`];
  if (state === "running") parts.push(percent(progress), eta === null ? "" : `${duration(eta)} to go`);
  if (size) parts.push(bytes(size));
  if (reason) parts.push(reason);
  return parts.filter(Boolean).join(" · ");
}

/** What a page has to know beside it. */
export async function exportAround(clock, permissions) {
  return { clock, streams: await askAll("v1/streams"), may: { write: permissions.includes("exports:write") } };
}
