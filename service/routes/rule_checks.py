"""What a rule names must be there, or is told of: streams and sinks must, labels and zones may come later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from service.errors_base import InvalidRequest, Wrong, shown
from service.rights import ALL, Visible
from service.routes.alert_bodies import Problem
from service.routes.context import Context
from service.storage.records import StreamRecord
from service.storage.rules import RuleRecord


async def check_places(here: Context, streams: Sequence[str], sinks: Sequence[str]) -> None:
    """Raises InvalidRequest for a stream or a sink that does not exist."""
    known_streams, known_sinks = await here.store.stream_ids(), await here.alerts.sink_ids()
    wrong = [
        Wrong(f"streams.{place}", "the id of a stream", shown(stream_id))
        for place, stream_id in enumerate(streams)
        if stream_id not in known_streams
    ]
    wrong += [
        Wrong(f"sinks.{place}", "the id of a sink", shown(sink_id))
        for place, sink_id in enumerate(sinks)
        if sink_id not in known_sinks
    ]
    if wrong:
        raise InvalidRequest(wrong)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What rules can refer to now: streams by id, labels by network, names of zones by stream, sinks."""

    streams: Mapping[str, StreamRecord]
    labels: Mapping[str, frozenset[str]]
    zones: Mapping[str, frozenset[str]]
    sinks: frozenset[str]


async def look_around(here: Context) -> Surroundings:
    streams = {record.id: record for record in await here.store.all_streams(ALL)}
    cards = await here.catalogue.cards()
    zones = {each: frozenset(zone.name for zone in await here.store.zones.of(each)) for each in streams}
    labels = {name: frozenset(card.labels) for name, card in cards.items()}
    return Surroundings(streams, labels, zones, await here.alerts.sink_ids())


def find_problems(around: Surroundings, rule: RuleRecord, visible: Visible) -> list[Problem]:
    """→ what keeps it from finding anything, or from telling it, as things are now; of streams that may be seen."""
    named = [stream_id for stream_id in rule.body["streams"] if visible.sees(stream_id)]
    watched = [around.streams[each] for each in named or around.streams if each in around.streams]
    seen = [each for each in watched if visible.sees(each.id)]
    return [
        *(Problem(field="streams", problem=f"there is no stream {e}") for e in named if e not in around.streams),
        *(Problem(field="sinks", problem=f"there is no sink {e}") for e in rule.body["sinks"] if e not in around.sinks),
        *(problem for stream in seen for problem in _labels(around, rule, stream)),
        *_zones(around, rule, seen),
    ]


def _labels(around: Surroundings, rule: RuleRecord, stream: StreamRecord) -> Iterator[Problem]:
    known = around.labels.get(stream.model, frozenset())
    for label in rule.body.get("actions") or {}:
        field = f"actions.{shown(label)}"
        if label not in known:
            expected = ", ".join(sorted(known)[:10]) or "none"
            about = f"expected a label of {stream.model}, the network of stream {stream.id} (such as {expected})"
            yield Problem(field=field, problem=about)
        elif stream.actions is not None and label not in stream.actions:
            yield Problem(field=field, problem=f"stream {stream.id} does not watch for it")


def _zones(around: Surroundings, rule: RuleRecord, streams: Sequence[StreamRecord]) -> Iterator[Problem]:
    known = frozenset[str]().union(*(around.zones[stream.id] for stream in streams))
    for name in (rule.body.get("zones") or {}).get("any", ()):
        if name not in known:
            yield Problem(field="zones.any", problem=f"no stream of the rule has a zone {shown(name)}")
