// Asking the API. A principal that is not known (any more) is sent to the log-in page, and back from there.

const JSON_TYPE = { "Content-Type": "application/json" };
const ROOT = new URL("../", import.meta.url); // of the service: this file is web/api.js below it, whatever page it is for

/** → the whole address of a path of the service; pages may lie deeper, and a proxy may put all of it below a path. */
export const at = (path) => new URL(path, ROOT).href;

/** → {content, headers} of the answer. Throws an Error with the problem's own words, its status and its list of fields. */
export async function request(method, path, body, headers = {}) {
  const given = body === undefined ? {} : { body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(at(path), { method, headers: { ...(given.body ? JSON_TYPE : {}), ...headers }, ...given });
  } catch {
    throw new Error("The service does not answer.");
  }
  const content = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (answer.ok) return { content, headers: answer.headers };
  const error = new Error(content?.detail ?? `The service answered ${answer.status}.`);
  throw Object.assign(error, { status: answer.status, fields: content?.errors ?? [] });
}

const begun = new Map(); // path → its answer, or null where there was none

/** Asks already now for what `ask("GET", path)` will want soon: it gets this answer, once; what failed is asked again. */
export function ahead(...paths) {
  for (const path of paths) begun.set(path, request("GET", path).catch(() => null));
}

/** → the content of the answer. A 401 leads to the log-in page. */
export async function ask(method, path, body) {
  const early = method === "GET" ? begun.get(path) : undefined;
  if (early) begun.delete(path);
  try {
    return ((await early) ?? (await request(method, path, body))).content;
  } catch (error) {
    if (error.status === 401) toLogin();
    throw error;
  }
}

/** → the path of the first page that `askAll` asks for. */
export const firstPage = (path) => `${path}${path.includes("?") ? "&" : "?"}limit=200`;

/** → all items of a list, page after page. */
export async function askAll(path) {
  const items = [];
  let cursor = "";
  do {
    const page = await ask("GET", `${firstPage(path)}${cursor}`);
    items.push(...page.items);
    cursor = page.next_cursor ? `&cursor=${encodeURIComponent(page.next_cursor)}` : "";
  } while (cursor);
  return items;
}

const PAGES = new Set(["", "review", "events", "corrections", "rules", "train", "models", "settings", "system"]);
const INCIDENT = /^incidents\/inc_[0-9a-f]{16}$/;

/** → the page's own path: "" of the first one, "settings", "incidents/inc_…". */
export const here = () => location.pathname.slice(ROOT.pathname.length);

let leaving = false; // several requests are refused at once, and each navigation would break off the one before

export function toLogin() {
  if (leaving || here() === "login") return;
  leaving = true;
  location.assign(at(`login?next=${encodeURIComponent(here() + location.search + location.hash)}`));
}

/** → where to go after the log-in: one of our own pages, whatever the address says. */
export function afterLogin() {
  const wanted = new URLSearchParams(location.search).get("next") ?? "";
  const path = wanted.split(/[?#]/)[0];
  return at(PAGES.has(path) || INCIDENT.test(path) ? wanted : "");
}

let principal = null;

/** → who asks: {kind, name, role, permissions …}; asked once a page. */
export async function me() {
  principal ??= await ask("GET", "v1/me");
  return principal;
}

export async function may(permission) {
  return (await me()).permissions.includes(permission);
}
