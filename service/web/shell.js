// The top of every page: where one is and may go, how the service does, who is logged in. And work that goes on by itself.

import { ask, at, me, toLogin } from "./api.js";
import { $, make } from "./dom.js";
import { speakOf } from "./times.js";

const RETRY_MS = 2000;
const READY_MS = 5000;

/** `name` is what a page calls itself; `open` says who may see it. */
const PAGES = [
  { name: "live", path: "", title: "Live", open: may("live:read") },
  { name: "review", path: "review", title: "Review", open: may("events:read") },
  { name: "events", path: "events", title: "Events", open: may("events:read") },
  { name: "rules", path: "rules", title: "Rules", open: may("rules:read") },
  { name: "train", path: "train", title: "Train", open: (who) => may("trainings:read")(who) && who.visible === "all" },
  { name: "models", path: "models", title: "Models", open: may("models:read") },
  { name: "system", path: "system", title: "System", open: may("system:read") },
  { name: "settings", path: "settings", title: "Settings", open: (who) => who.kind === "user" || may("users:read")(who) },
];

function may(permission) {
  return (who) => who.permissions.includes(permission);
}

/** Fills the element `shell`. → who asks, once the service has said so; it is asked until it answers. */
export async function showShell(page) {
  drawFrame();
  const who = await untilThere(me);
  nameZone(speakOf(who.timezone ?? null));
  $("pages").replaceChildren(...PAGES.filter(({ open }) => open(who)).map((each) => linkTo(each, page)));
  $("principal").replaceChildren(...account(who));
  forever(refreshService, READY_MS);
  return who;
}

function drawFrame() {
  const skip = make("a", { className: "skip", href: "#main", onclick: skipTo }, "Skip to content");
  const mark = make("img", { src: at("web/icon.svg"), alt: "", width: 26, height: 26 });
  const menu = make("button", { id: "menu", type: "button", className: "menu", onclick: toggleMenu, aria: { controls: "pages" } }, "Menu");
  menu.setAttribute("aria-expanded", "false");
  $("shell").replaceChildren(
    skip,
    make("a", { className: "brand", href: at("") }, mark, " Actoscope"),
    make("nav", { id: "pages", className: "pages", aria: { label: "Pages" } }),
    make("div", { className: "top-right" },
      make("p", { id: "service", className: "chip", role: "status" }, "connecting…"),
      make("div", { id: "principal", className: "principal", role: "group", aria: { label: "Account" } }),
      menu),
  );
}

/** On pages that do not say it themselves, where times are not the browser's. */
function nameZone(zone) {
  if (zone && $("zone") === null) $("principal").before(make("span", { className: "soft", title: "Times are of this zone" }, zone));
}

/** Not by the address: some pages keep their section there. */
function skipTo(event) {
  event.preventDefault();
  $("main").tabIndex = -1;
  $("main").focus();
}

function toggleMenu() {
  const open = $("menu").getAttribute("aria-expanded") !== "true";
  $("menu").setAttribute("aria-expanded", String(open));
  $("pages").classList.toggle("open", open);
}

function linkTo({ name, path, title }, page) {
  const link = make("a", { href: at(path) }, title);
  if (name === page) link.setAttribute("aria-current", "page");
  return link;
}

/** A name, and “Log out” where there is a session to end. */
function account({ kind, name, logout_url: elsewhere }) {
  const parts = kind === "local" ? [] : [make("span", { className: "soft" }, name)];
  if (kind === "user" || elsewhere !== null) parts.push(make("button", { type: "button", onclick: logOut }, "Log out"));
  return parts;
}

async function logOut() {
  const { logout_url: elsewhere } = await ask("POST", "v1/logout"); // a proxy in front ends its own session there
  if (elsewhere) location.assign(elsewhere);
  else toLogin();
}

// -- the service

/** What the chip at the top says; `kind` is good, warn or bad. */
export function say(text, kind) {
  $("service").textContent = text;
  $("service").className = `chip ${kind}`;
}

export async function refreshService() {
  const answer = await fetch(at("readyz"));
  const content = await answer.json();
  if (!answer.ok) return say(content.detail ?? "models are loading…", "warn");
  const parts = Object.entries(content.inference?.parts ?? {});
  const coming = parts.filter(([, what]) => what.startsWith("being prepared")).map(([part]) => part.split(":").pop());
  say(coming.length ? `ready; preparing ${coming.join(", ")}` : "ready", "good");
}

/** For what runs by itself: a failure is shown by the chip of the service, and the next round tries again. */
export const quietly = (work) => async () => {
  try {
    return await work();
  } catch (error) {
    say(error instanceof TypeError ? "the service does not answer" : error.message, "bad");
    return undefined;
  }
};

/** One after another, so that slow answers do not pile up; nothing while nobody sees the page. */
export async function forever(work, pauseMs) {
  for (;;) {
    if (!document.hidden) await quietly(work)();
    await sleep(pauseMs);
  }
}

export const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

async function untilThere(work) {
  for (;;) {
    const found = await quietly(work)();
    if (found !== undefined) return found;
    await sleep(RETRY_MS);
  }
}
