"""Leases of streams. Functions of a Session, synchronous, for PostgreSQL.

The leader alone gives a stream to a node, and each time its epoch rises; a node only puts off the end of what it has.
Both are conditions of the statement itself, which the database looks at once more when it has waited for the row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, or_, select, text
from sqlalchemy.orm import Session

from service.storage.cluster.tables import LeaseRow, PlacementRow
from service.storage.tables import EventRow, StreamRow

TTL_S = 8.0
RENEW_S = 2.0

NOW = "extract(epoch FROM clock_timestamp())"


@dataclass(frozen=True, slots=True)
class Lease:
    """``left_s``: how long it counts yet, by the database's clock; not above 0 where it is over. ``node``: None where
    it was given up, empty where it was taken from a node that may not know yet.
    """

    stream_id: str
    node: str | None
    epoch: int
    left_s: float
    next_track: int

    @property
    def counts(self) -> bool:
        return self.node is not None and self.left_s > 0


@dataclass(frozen=True, slots=True)
class Held:
    """What a node says that it has: the number of the next person there goes with it."""

    stream_id: str
    epoch: int
    next_track: int


@dataclass(frozen=True, slots=True)
class Grant:
    """A stream goes to a node, unless its lease is no more of ``epoch`` (0: there was none)."""

    stream_id: str
    node: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a stream is wanted. Empty: anywhere."""

    site: str = ""
    pin: str = ""


def read_leases(session: Session) -> dict[str, Lease]:
    rows = session.execute(
        text(f"SELECT stream_id, node, epoch, expires_at - {NOW} AS left_s, next_track FROM stream_leases")  # noqa: S608 - a constant
    )
    return {row.stream_id: Lease(row.stream_id, row.node, row.epoch, float(row.left_s), row.next_track) for row in rows}


def renew(session: Session, node: str, held: Sequence[Held]) -> frozenset[tuple[str, int]]:
    """→ (stream, epoch) of those that the node has for TTL_S more. What is missing there is another's by now."""
    if not held:
        return frozenset()
    rows = session.execute(
        text(
            f"UPDATE stream_leases AS l SET expires_at = {NOW} + :ttl, next_track = greatest(l.next_track, h.track) "  # noqa: S608 - a constant
            "FROM unnest(CAST(:ids AS text[]), CAST(:epochs AS bigint[]), CAST(:tracks AS bigint[])) "
            "AS h(stream_id, epoch, track) "
            "WHERE l.stream_id = h.stream_id AND l.epoch = h.epoch AND l.node = :node RETURNING l.stream_id, l.epoch"
        ),
        {
            "ttl": TTL_S,
            "node": node,
            "ids": [each.stream_id for each in held],
            "epochs": [each.epoch for each in held],
            "tracks": [each.next_track for each in held],
        },
    )
    return frozenset((row.stream_id, row.epoch) for row in rows)


def give_up(session: Session, leases: Iterable[tuple[str, int]]) -> None:
    """Nobody has these (stream, epoch) any more: their node has said that it stopped them."""
    pairs = list(leases)
    if pairs:
        session.execute(
            text(
                "UPDATE stream_leases AS l SET node = NULL "
                "FROM unnest(CAST(:ids AS text[]), CAST(:epochs AS bigint[])) AS g(stream_id, epoch) "
                "WHERE l.stream_id = g.stream_id AND l.epoch = g.epoch"
            ),
            {"ids": [stream for stream, _ in pairs], "epochs": [epoch for _, epoch in pairs]},
        )


def grant(session: Session, grants: Sequence[Grant]) -> dict[str, int]:
    """→ stream → its new epoch. Left out: those whose lease has changed since, or counts still."""
    if not grants:
        return {}
    rows = session.execute(
        text(
            "INSERT INTO stream_leases (stream_id, node, epoch, expires_at, next_track) "  # noqa: S608 - a constant
            f"SELECT w.stream_id, w.node, w.epoch + 1, {NOW} + :ttl, 1 "
            "FROM unnest(CAST(:ids AS text[]), CAST(:nodes AS text[]), CAST(:epochs AS bigint[])) "
            "AS w(stream_id, node, epoch) "
            "ON CONFLICT (stream_id) DO UPDATE "
            "SET node = excluded.node, epoch = excluded.epoch, expires_at = excluded.expires_at "
            "WHERE stream_leases.epoch = excluded.epoch - 1 "
            f"AND (stream_leases.node IS NULL OR stream_leases.expires_at < {NOW}) "
            "RETURNING stream_id, epoch"
        ),
        {
            "ttl": TTL_S,
            "ids": [each.stream_id for each in grants],
            "nodes": [each.node for each in grants],
            "epochs": [each.epoch for each in grants],
        },
    )
    return {row.stream_id: row.epoch for row in rows}


def revoke(session: Session, leases: Iterable[tuple[str, int]]) -> None:
    """Nobody may renew these (stream, epoch) any more. They count until their time is over: the node does not know."""
    pairs = list(leases)
    if pairs:
        session.execute(
            text(
                "UPDATE stream_leases AS l SET node = '', epoch = l.epoch + 1 "
                "FROM unnest(CAST(:ids AS text[]), CAST(:epochs AS bigint[])) AS g(stream_id, epoch) "
                "WHERE l.stream_id = g.stream_id AND l.epoch = g.epoch AND l.node IS NOT NULL"
            ),
            {"ids": [stream for stream, _ in pairs], "epochs": [epoch for _, epoch in pairs]},
        )


def last_tracks(session: Session, streams: Collection[str]) -> dict[str, int]:
    """→ stream → the highest number of a person that has an event there."""
    statement = select(EventRow.stream_id, func.max(EventRow.track_id)).where(EventRow.stream_id.in_(list(streams)))
    return {row[0]: int(row[1]) for row in session.execute(statement.group_by(EventRow.stream_id))}


def forget_leases(session: Session) -> None:
    """Takes away what is left of streams that are gone, once no node can have them."""
    streams = select(StreamRow.id)
    over = or_(LeaseRow.node.is_(None), LeaseRow.expires_at < text(NOW))
    session.execute(
        delete(LeaseRow).where(LeaseRow.stream_id.not_in(streams), over).execution_options(synchronize_session=False)
    )
    session.execute(delete(PlacementRow).where(PlacementRow.stream_id.not_in(streams)))


def read_placements(session: Session) -> Mapping[str, Placement]:
    return {row.stream_id: Placement(row.site, row.pin) for row in session.scalars(select(PlacementRow))}


def put_placement(session: Session, stream_id: str, wanted: Placement) -> None:
    session.execute(delete(PlacementRow).where(PlacementRow.stream_id == stream_id))
    if wanted != Placement():
        session.add(PlacementRow(stream_id=stream_id, site=wanted.site, pin=wanted.pin))


def lease_of(session: Session, stream_id: str) -> LeaseRow | None:
    return session.get(LeaseRow, stream_id)
