"""Nodes, and how far their spools are in the log. Functions of a Session, synchronous, for PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session

from service.storage.cluster.leases import NOW
from service.storage.cluster.tables import NodeRow, PointerRow, RecordingNodeRow, SpoolRow
from service.storage.objects import MISSING, WAITING
from service.storage.tables import ObjectRow

ALIVE_S = 6.0  # a node that was silent for longer gets no stream; shorter than leases, which it renews as it says so


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a node says of itself. ``capacity`` in streams, ``load`` parts of its cores that are taken.

    ``lends``: ``host:port`` where it classifies clips of others, empty: it does not. ``store``: the bucket that it
    sends recordings to, empty: none; ``store_problem``: what goes wrong there.
    """

    name: str
    incarnation: str
    version: str
    site: str
    address: str
    cores: int
    gpus: int
    capacity: int
    load: float
    ready: bool
    lends: str = ""
    store: str = ""
    store_problem: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A node as the database knows it. ``silent_s``: since it was seen last; times of day are Unix seconds."""

    facts: NodeFacts
    draining: bool
    silent_s: float
    seen_at: float
    started_at: float

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def alive(self) -> bool:
        return self.silent_s < ALIVE_S


@dataclass(frozen=True, slots=True)
class Taken:
    """Up to which row a spool's reports are in the log."""

    spool: str = ""
    n: int = 0


_FACTS = (
    *("incarnation", "version", "site", "address", "cores", "gpus", "capacity", "load", "ready", "lends"),
    *("store", "store_problem"),
)


def tell(session: Session, facts: NodeFacts) -> bool:
    """Keeps what a node says of itself → whether it is to be drained. ``started_at`` follows its incarnation."""
    values = {name: getattr(facts, name) for name in _FACTS}
    names = ", ".join(_FACTS)
    fresh = ", ".join(f"{name} = excluded.{name}" for name in _FACTS)
    row = session.execute(
        text(
            f"INSERT INTO nodes (name, {names}, draining, started_at, seen_at) "  # noqa: S608 - constants
            f"VALUES (:name, {', '.join(f':{name}' for name in _FACTS)}, false, {NOW}, {NOW}) "
            f"ON CONFLICT (name) DO UPDATE SET {fresh}, seen_at = excluded.seen_at, started_at = CASE "
            "WHEN nodes.incarnation = excluded.incarnation THEN nodes.started_at ELSE excluded.started_at END "
            "RETURNING draining"
        ),
        {"name": facts.name, **values},
    ).one()
    return bool(row.draining)


def read_nodes(session: Session) -> dict[str, Node]:
    now = session.execute(text(f"SELECT {NOW}")).scalar_one()
    rows = session.scalars(select(NodeRow).order_by(NodeRow.name).execution_options(populate_existing=True))
    return {row.name: _node(row, float(now)) for row in rows}


def read_node(session: Session, name: str) -> Node | None:
    row = session.get(NodeRow, name)
    return None if row is None else _node(row, float(session.execute(text(f"SELECT {NOW}")).scalar_one()))


def _node(row: NodeRow, now: float) -> Node:
    facts = NodeFacts(row.name, **{name: getattr(row, name) for name in _FACTS})
    return Node(facts, row.draining, now - row.seen_at, row.seen_at, row.started_at)


def set_draining(session: Session, name: str, draining: bool) -> bool:
    """→ False if there is no such node."""
    row = session.get(NodeRow, name)
    if row is None:
        return False
    row.draining = draining
    return True


def forget_node(session: Session, name: str) -> None:
    """What it had not sent to the bucket is nowhere else: it counts as missing, until the node is back after all."""
    lost = update(ObjectRow).where(ObjectRow.node == name, ObjectRow.state == WAITING)
    session.execute(lost.values(state=MISSING))
    session.execute(delete(NodeRow).where(NodeRow.name == name))
    session.execute(delete(SpoolRow).where(SpoolRow.node == name))


def read_taken(session: Session, node: str) -> Taken:
    row = session.get(SpoolRow, node)
    return Taken() if row is None else Taken(row.spool, row.taken)


def put_taken(session: Session, taken: Mapping[str, Taken]) -> None:
    """In the transaction that stores the messages, so that none is stored twice."""
    for node, upto in taken.items():
        session.merge(SpoolRow(node=node, spool=upto.spool, taken=upto.n))


def put_recording_node(session: Session, path: str, node: str) -> None:
    session.merge(RecordingNodeRow(path=path, node=node))


def recording_nodes(session: Session, paths: Collection[str]) -> dict[str, str]:
    """→ path → node, of those that lie on one."""
    rows = session.execute(
        text("SELECT path, node FROM recording_nodes WHERE path = ANY(CAST(:paths AS text[]))"), {"paths": list(paths)}
    )  # one parameter, however many there are: a statement takes 65,535 at most
    return {row.path: row.node for row in rows}


def put_pointer(session: Session, alias: str, content: str) -> None:
    session.merge(PointerRow(alias=alias, content=content))


def read_pointers(session: Session) -> dict[str, str]:
    """→ alias → the content of its file."""
    return {row.alias: row.content for row in session.scalars(select(PointerRow))}
