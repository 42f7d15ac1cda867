"""Which node gets which stream: a pure function of what is wanted and what there is.

A stream stays where it is unless it must go: nothing is moved only to even out the load, since a move costs seconds of
labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from service.storage.cluster.leases import Placement

MOVES = 8  # streams under way from one node to another at once: the machines they go to have to start them


@dataclass(frozen=True, slots=True)
class Seat:
    """A node as far as streams ask. ``open``: it takes further ones. ``draining``: it is to let go of those that it
    has; one that merely cannot be reached runs on, and keeps what it has to tell.
    """

    name: str
    site: str
    capacity: int
    load: float
    ready: bool
    open: bool
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stream that is to run. ``node``: where its lease is; None where nobody has it, empty where somebody may have it
    still. ``leaving``: told to let go.
    """

    stream_id: str
    placement: Placement
    node: str | None = None
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """``give``: stream → node, of those that nobody has. ``move``: those whose node has to let go of them.
    ``unplaced``: those that wait → why.
    """

    give: Mapping[str, str] = field(default_factory=dict)
    move: frozenset[str] = frozenset()
    unplaced: Mapping[str, str] = field(default_factory=dict)


def place(wanted: Iterable[Wanted], seats: Mapping[str, Seat]) -> Plan:
    """→ what to do now. The least loaded node that may have a stream gets it; streams in the order given."""
    streams = list(wanted)
    taken = dict.fromkeys(seats, 0)
    for each in streams:
        if each.node in taken:
            taken[each.node] += 1
    give: dict[str, str] = {}
    unplaced: dict[str, str] = {}
    move: set[str] = set()
    under_way = sum(each.leaving for each in streams)
    for each in streams:
        if each.node is None:
            node = _best(each.placement, seats, taken)
            if node is None:
                unplaced[each.stream_id] = _why_not(each.placement, seats, taken)
                continue
            give[each.stream_id] = node
            taken[node] += 1
        elif not each.leaving and under_way + len(move) < MOVES and _must_go(each, seats):
            node = _best(each.placement, seats, taken)
            if node is not None:
                move.add(each.stream_id)
                taken[node] += 1  # kept for it until it arrives
    return Plan(give, frozenset(move), unplaced)


def _must_go(stream: Wanted, seats: Mapping[str, Seat]) -> bool:
    seat = seats.get(stream.node or "")
    return seat is not None and (seat.draining or not _suits(stream.placement, seat))


def _suits(placement: Placement, seat: Seat) -> bool:
    return placement.pin in ("", seat.name) and placement.site in ("", seat.site)


def _best(placement: Placement, seats: Mapping[str, Seat], taken: Mapping[str, int]) -> str | None:
    """Those whose networks are loaded come first, then those with the smallest share of their capacity taken."""
    free = [
        seat for seat in seats.values() if seat.open and _suits(placement, seat) and taken[seat.name] < seat.capacity
    ]
    ranked = ((not seat.ready, (taken[seat.name] + 1) / seat.capacity, seat.load, seat.name) for seat in free)
    best = min(ranked, default=None)
    return None if best is None else best[-1]


def _why_not(placement: Placement, seats: Mapping[str, Seat], taken: Mapping[str, int]) -> str:
    if not seats:
        return "no node has joined: start `actoscope node` on a machine"
    suited = [seat for seat in seats.values() if _suits(placement, seat)]
    if not suited:
        where = f"node {placement.pin}" if placement.pin else f"a node of site {placement.site}"
        return f"it wants {where}, which there is not"
    living = [seat for seat in suited if seat.open]
    if not living:
        return f"no node that it may run on takes streams now ({_names(suited)}: silent, or being drained)"
    full = ", ".join(f"{seat.name}: {taken[seat.name]} of {seat.capacity}" for seat in living[:5])
    return f"every node that it may run on is full ({full})"


def _names(seats: Iterable[Seat]) -> str:
    return ", ".join(seat.name for seat in seats)
