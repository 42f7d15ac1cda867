// Where things are in the lanes: camera → people → bars of what they did. People who are not there at the same time share
// a row, so that a day has as many rows as there were people at once. Pure arithmetic, no drawing.

export const CAMERA_PX = 22;
export const PEOPLE_PX = 22;
const VISIT_PAUSE_S = 600; // numbers of people begin anew with a stream's process: after so long it is somebody else
const SHARE_PAUSE_S = 1; // between two people of one row

/** One bar of a timeline's compact `events`. */
function barOf([id, streamId, trackId, action, from, to, confidence, verdict, reviewed, alerted], now) {
  return { id, streamId, trackId, action, from, to: Math.max(from, to ?? now), confidence, verdict, reviewed, alerted };
}

/** → {rows, height, bars: id → {bar, row}} of a timeline as the service sends it; `now` ends what still goes on. */
export function layOut(timeline, now) {
  const bars = timeline.events.map((event) => barOf(event, now)).sort((a, b) => a.from - b.from);
  const byStream = groupBy(bars, (bar) => bar.streamId);
  const named = timeline.streams.map(({ id, name, recordings }) => ({ id, name, recordings }));
  const known = new Set(named.map(({ id }) => id));
  for (const id of byStream.keys()) if (!known.has(id)) named.push({ id, name: "deleted camera", recordings: [] });
  const rows = [];
  let top = 0;
  for (const camera of named) {
    const people = rowsOfPeople(byStream.get(camera.id) ?? []);
    const height = CAMERA_PX + people.length * PEOPLE_PX;
    rows.push({ kind: "camera", ...camera, gaps: gapsOf(camera.recordings, timeline), top, height: CAMERA_PX, block: height });
    people.forEach((bars, index) => rows.push(rowOf(camera.id, bars, top + CAMERA_PX + index * PEOPLE_PX)));
    top += height;
  }
  const places = new Map(rows.flatMap((row) => (row.bars ?? []).map((bar) => [bar.id, { bar, row }])));
  return { rows, height: top, places };
}

function groupBy(items, keyOf) {
  const groups = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(item);
  }
  return groups;
}

function rowOf(streamId, bars, top) {
  let reach = -Infinity;
  // How far right the bars up to each one reach: rising, so that the first visible one is found by halving.
  const reaches = bars.map(({ to }) => (reach = Math.max(reach, to)));
  return { kind: "people", id: streamId, bars, reaches, top, height: PEOPLE_PX };
}

/** → bars by row; `bars` of one camera, by their beginning. */
function rowsOfPeople(bars) {
  const visits = [...groupBy(bars, (bar) => bar.trackId).values()].flatMap(visitsOf).sort((a, b) => a[0].from - b[0].from);
  const rows = []; // {end, bars}
  for (const visit of visits) {
    const end = Math.max(...visit.map(({ to }) => to));
    let row = rows.find((each) => each.end + SHARE_PAUSE_S < visit[0].from);
    if (!row) rows.push((row = { end, bars: [] }));
    row.end = end;
    row.bars.push(...visit);
  }
  return rows.map((row) => row.bars);
}

function visitsOf(bars) {
  const visits = [];
  let end = -Infinity;
  for (const bar of bars) {
    if (bar.from - end > VISIT_PAUSE_S) visits.push([]);
    visits.at(-1).push(bar);
    end = Math.max(end, bar.to);
  }
  return visits;
}

/** → [[from, to], …] within the span of which nothing was recorded. */
export function gapsOf(recordings, { since, until }) {
  const gaps = [];
  let end = since;
  for (const [, from, to] of [...recordings].sort((a, b) => a[1] - b[1])) {
    if (from > end) gaps.push([end, from]);
    end = Math.max(end, to);
  }
  if (end < until) gaps.push([end, until]);
  return gaps;
}

/** → index of the first bar of a row that ends at `from` or later. */
export function firstVisible({ reaches }, from) {
  let low = 0;
  let high = reaches.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (reaches[middle] < from) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** → the bar of a row at a time, or the nearest within `reachS` of it; the last one drawn is the one on top. */
export function barAt(row, at, reachS) {
  let best = null;
  let bestAway = Infinity;
  for (let index = firstVisible(row, at - reachS); index < row.bars.length; index += 1) {
    const bar = row.bars[index];
    if (bar.from > at + reachS) break;
    const away = Math.max(bar.from - at, at - bar.to, 0);
    if (away <= reachS && away <= bestAway) [best, bestAway] = [bar, away];
  }
  return best;
}
