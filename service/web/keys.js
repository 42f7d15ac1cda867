// Keys of a page: one table binds them, makes the buttons that do the same, and the help that shows them.

import { $, make } from "./dom.js";

const OFF = "actoscope-keys-off";
const TYPED = new Set(["INPUT", "TEXTAREA", "SELECT"]);
const OWN = new Set(["BUTTON", "A", "SUMMARY"]); // Space and Enter do what these are for

const shownNames = { " ": "Space", ArrowLeft: "←", ArrowRight: "→" };
const shown = (key) => shownNames[key] ?? key;

/** Whether somebody types there: no key acts then. A box to tick takes only the space bar. */
function takesKey({ target, key }) {
  if (target.tagName === "INPUT" && target.type === "checkbox") return key === " ";
  if (TYPED.has(target.tagName) || target.isContentEditable) return true;
  const own = OWN.has(target.tagName) && !target.closest("[data-keys]");
  return own && (key === " " || key === "Enter");
}

/**
 * `table`: [{keys, words, group, does, bar?, may?, shift?}]: `keys` as the browser names them, `does(key)`; `bar` is the id of
 * an element that gets a button for it; one that `may` not be done is neither bound nor shown.
 */
export function bindKeys(table) {
  const open = table.filter(({ may }) => may !== false);
  const bound = new Map(open.flatMap((entry) => entry.keys.map((key) => [keyName(key, entry.shift), entry])));
  document.addEventListener("keydown", (press) => {
    if (press.ctrlKey || press.altKey || press.metaKey || document.querySelector("dialog[open]") || takesKey(press)) return;
    const key = press.key.length === 1 ? press.key.toLowerCase() : press.key;
    const entry = bound.get(keyName(key, press.shiftKey));
    if (!entry || (localStorage.getItem(OFF) && key !== "?")) return;
    press.preventDefault();
    entry.does(key);
  });
  for (const entry of open) if (entry.bar) $(entry.bar).append(buttonOf(entry));
  return open;
}

/** Signs that need Shift on some keyboards count without it. */
const keyName = (key, shift) => (shift && /^([a-z]|Arrow.*)$/.test(key) ? `Shift+${key}` : key);

function buttonOf(entry) {
  const [key] = entry.keys;
  const button = make("button", { type: "button", className: entry.className ?? "", title: entry.words, onclick: () => entry.does(key) });
  button.setAttribute("aria-keyshortcuts", entry.keys.map((each) => (each === " " ? "Space" : each)).join(" "));
  if (entry.id) button.id = entry.id;
  button.append(make("span", {}, entry.text ?? entry.words), make("kbd", { aria: { hidden: "true" } }, shown(key)));
  return button;
}

/** Shows all keys, and the switch that turns them off. */
export function showHelp(table) {
  const groups = [...new Set(table.map(({ group }) => group))];
  const lists = groups.map((group) =>
    make("section", { className: "key-group" },
      make("h3", {}, group),
      make("dl", { className: "keys" }, ...table.filter((entry) => entry.group === group).flatMap(termOf))));
  const on = make("input", { type: "checkbox", checked: !localStorage.getItem(OFF) });
  on.onchange = () => (on.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1"));
  const close = make("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const dialog = make("dialog", { id: "help", aria: { labelledby: "help-title" } },
    make("div", { className: "player-head" }, make("h2", { id: "help-title" }, "Keys"), close),
    make("div", { className: "help" }, ...lists),
    make("label", { className: "check" }, on, " Keys act on this page"));
  dialog.onclose = () => dialog.remove();
  document.body.append(dialog);
  dialog.showModal();
}

function termOf({ keys, words, shift, range }) {
  const names = range ? [range] : keys.map((key) => (shift ? `Shift ${shown(key)}` : shown(key)));
  return [make("dt", {}, ...names.map((name) => make("kbd", {}, name))), make("dd", {}, words)];
}
