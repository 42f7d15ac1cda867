// Times as people read them, in one named zone: the service's, or the browser's where the service names none.
// Inside everything is Unix seconds. A clock that goes back shows an hour twice: its times then carry their offset.

const DAY_S = 86_400;
const SLOT_S = 900; // no zone changes within a quarter of an hour
const MOST_SLOTS = 20_000;
const CHECK = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" };

export const unixOf = (text) => Date.parse(text) / 1000;
export const rfc3339 = (unix) => new Date(Math.round(unix * 1000)).toISOString();

const browserZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

function knownZone(zone) {
  try {
    return Intl.DateTimeFormat(undefined, { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    return browserZone(); // the service's machine may know zones that this browser does not
  }
}

export class ZoneClock {
  /** `zone` an IANA name, or null. */
  constructor(zone) {
    this.zone = zone ? knownZone(zone) : browserZone();
    const format = (options) => new Intl.DateTimeFormat(undefined, { timeZone: this.zone, ...options });
    this.checks = new Intl.DateTimeFormat("en-US", { timeZone: this.zone, hourCycle: "h23", ...CHECK });
    this.offsetNames = new Intl.DateTimeFormat("en-US", { timeZone: this.zone, timeZoneName: "shortOffset" });
    this.dates = format({ weekday: "short", day: "numeric", month: "short", year: "numeric" });
    this.offsets = new Map(); // quarter of an hour → seconds east of Greenwich
  }

  offsetS(unix) {
    const slot = Math.floor(unix / SLOT_S);
    if (!this.offsets.has(slot)) {
      if (this.offsets.size > MOST_SLOTS) this.offsets.clear();
      this.offsets.set(slot, this.measureOffset(slot * SLOT_S));
    }
    return this.offsets.get(slot);
  }

  measureOffset(unix) {
    const { year, month, day, hour, minute, second } = Object.fromEntries(
      this.checks.formatToParts(unix * 1000).map(({ type, value }) => [type, Number(value)]),
    );
    return Date.UTC(year, month - 1, day, hour, minute, second) / 1000 - unix;
  }

  /** → what the wall clock shows, as seconds that would be Unix time in Greenwich. */
  wall(unix) {
    return unix + this.offsetS(unix);
  }

  /** → the one or two instants at which the wall clock shows this; where it jumps over it, the one after the jump. */
  instants(wall) {
    const before = wall - this.offsetS(wall - DAY_S);
    const after = wall - this.offsetS(wall + DAY_S);
    const found = [before, after].filter((unix) => this.wall(unix) === wall);
    return found.length ? [...new Set(found)].sort((a, b) => a - b) : [before];
  }

  isTwice(unix) {
    return this.instants(Math.floor(this.wall(unix))).length > 1;
  }

  offsetName(unix) {
    return this.offsetNames.formatToParts(unix * 1000).find(({ type }) => type === "timeZoneName").value;
  }

  /** `text` of the wall clock, with the offset where it is needed. */
  named(text, unix) {
    return this.isTwice(unix) ? `${text} ${this.offsetName(unix)}` : text;
  }

  iso(unix) {
    return new Date(Math.floor(this.wall(unix)) * 1000).toISOString();
  }

  minute(unix) {
    return this.named(this.iso(unix).slice(11, 16), unix);
  }

  time(unix) {
    return this.named(this.iso(unix).slice(11, 19), unix);
  }

  date(unix) {
    return this.dates.format(unix * 1000);
  }

  moment(unix) {
    return `${this.date(unix)}, ${this.time(unix)}`;
  }

  /** → as date fields write it: 2026-11-01. */
  day(unix) {
    return this.iso(unix).slice(0, 10);
  }

  /** → when a day of the calendar begins, `away` days from it. Days of 23 and 25 hours count as days. */
  startOf(day, away = 0) {
    return this.instants(Date.parse(`${day}T00:00:00Z`) / 1000 + away * DAY_S)[0];
  }

  /** → as date-and-time fields write it. */
  local(unix) {
    return this.iso(unix).slice(0, 19);
  }

  /** → Unix time of what such a field says, null for nothing. Of an hour that comes twice the first, or the `last`. */
  fromLocal(text, last = false) {
    const wall = Date.parse(`${text}Z`) / 1000;
    if (!Number.isFinite(wall)) return null;
    return this.instants(wall).at(last ? -1 : 0);
  }

  /** → the instants in [from, to] at which the wall clock shows multiples of `stepS`. */
  ticks(from, to, stepS) {
    const found = [];
    for (let unix = from; unix <= to; unix += Math.min(stepS, 3600)) {
      const tick = unix + ((stepS - (this.wall(unix) % stepS)) % stepS);
      if (tick <= to && tick !== found.at(-1) && this.wall(tick) % stepS === 0) found.push(tick);
    }
    return found;
  }
}

let spoken = new ZoneClock(null);

/** What `clock` and `moment` say from now on is in this zone, or in the browser's. → its name where the browser is in another. */
export function speakOf(zone) {
  spoken = new ZoneClock(zone);
  return spoken.zone === browserZone() ? "" : spoken.zone;
}

/** → the clock behind both. */
export const spokenClock = () => spoken;

/** → the time of day of an RFC 3339 text. */
export const clock = (text) => spoken.time(unixOf(text));
/** → with its date; nothing for nothing. */
export const moment = (text) => (text ? spoken.moment(unixOf(text)) : "");

/** → a length as people read it. */
export function lengthOf(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [hours, minutes, rest] = parts.map((part) => String(part).padStart(2, "0"));
  return parts[0] ? `${parts[0]}:${minutes}:${rest} h` : `${Number(minutes)}:${rest} min`;
}
