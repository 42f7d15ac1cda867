// What can be done with the alert that an event is part of: keep it, snooze its rule. On the review and the incident page.

import { ask } from "./api.js";
import { rfc3339 } from "./times.js";

const BEFORE_S = 3600; // an incident may have begun so long before an event that it got
const SNOOZE_MINUTES = 30;

/** → the incidents that have this event. */
export async function incidentsOf(event, [from, to]) {
  const query = new URLSearchParams({ stream: event.stream_id, since: rfc3339(from - BEFORE_S), until: rfc3339(to + 60), limit: 200 });
  const { items } = await ask("GET", `v1/incidents?${query}`);
  return items.filter(({ events }) => events.includes(event.id));
}

export const keep = ({ id, kept }) => ask("PATCH", `v1/incidents/${encodeURIComponent(id)}`, { kept: !kept });

/** → the rule, silent for half an hour. */
export const snooze = ({ rule_id: id }) => ask("POST", `v1/rules/${encodeURIComponent(id)}/snooze`, { minutes: SNOOZE_MINUTES });
