"""Who leads: one row, one advisory lock. Functions of a connection or Session, synchronous, for PostgreSQL.

The lock elects: it ends with the connection of whoever holds it. The row's epoch fences: every transaction of a leader
looks whether it leads still, and the next leader waits for those that are under way before it begins.

The fence locks the row for KEY SHARE, whoever takes over for UPDATE: these two wait for each other. That the leader
lives changes no key (NO KEY UPDATE), so it is said without waiting for a transaction of its own, however long
(PostgreSQL's manual, 13.3.2: row-level locks).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

from service.storage.cluster.leases import NOW
from service.storage.cluster.tables import LeaderRow
from service.storage.database import StoreError

LOCK = 0x4163746F  # "Acto"
STALE_S = 6.0  # a leader that was silent for longer hangs: its connection is ended, and with it its lock
# A machine that loses its power closes no connection; without these the server would hold its lock for two hours.
KEEPALIVES = {"tcp_keepalives_idle": 2, "tcp_keepalives_interval": 1, "tcp_keepalives_count": 3}


class Fenced(StoreError):
    """Another API leads by now: nothing of this one may be written any more."""


@dataclass(frozen=True, slots=True)
class Leader:
    """``url``: where people find it; ``ray_address``: where nodes join; ``silent_s``: since it was heard of."""

    epoch: int
    name: str
    url: str
    ray_address: str
    silent_s: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """What an API says of itself."""

    name: str
    url: str
    ray_address: str


def prepare(connection: Connection) -> None:
    for name, value in KEEPALIVES.items():
        connection.execute(text(f"SET {name} = {value}"))


def try_lock(connection: Connection) -> bool:
    return bool(connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": LOCK}).scalar_one())


def take_over(connection: Connection, who: Candidate) -> int:
    """→ the epoch of whoever holds the lock now. Waits for transactions of the one before, in one statement: between
    two of them another could begin.
    """
    row = connection.execute(
        text(
            "WITH held AS MATERIALIZED (SELECT epoch FROM cluster_leader WHERE id = 1 FOR UPDATE) "  # noqa: S608 - a constant
            "INSERT INTO cluster_leader (id, epoch, name, url, ray_address, backend, renewed_at) "
            f"SELECT 1, coalesce(max(epoch), 0) + 1, :name, :url, :ray_address, pg_backend_pid(), {NOW} FROM held "
            "ON CONFLICT (id) DO UPDATE SET epoch = cluster_leader.epoch + 1, name = excluded.name, "
            "url = excluded.url, ray_address = excluded.ray_address, backend = excluded.backend, "
            "renewed_at = excluded.renewed_at RETURNING epoch"
        ),
        {"name": who.name, "url": who.url, "ray_address": who.ray_address},
    )
    return int(row.scalar_one())


def go_on(connection: Connection, epoch: int) -> bool:
    """A leader is alive → whether it leads still. Also with a new connection, where nobody has led in between."""
    done = connection.execute(
        text(
            f"UPDATE cluster_leader SET renewed_at = {NOW}, backend = pg_backend_pid() "  # noqa: S608 - a constant
            "WHERE id = 1 AND epoch = :epoch"
        ),
        {"epoch": epoch},
    )
    return done.rowcount == 1


def end_stale(connection: Connection) -> bool:
    """Ends the connection of a leader that hangs, which holds its lock for ever otherwise. → whether there was one."""
    row = connection.execute(
        text(
            "SELECT pg_terminate_backend(l.backend) FROM cluster_leader l JOIN pg_locks k ON k.pid = l.backend "  # noqa: S608 - a constant
            "AND k.locktype = 'advisory' AND k.objid = :lock AND k.granted "
            f"WHERE l.id = 1 AND l.renewed_at < {NOW} - :stale"
        ),
        {"lock": LOCK, "stale": STALE_S},
    ).first()
    return row is not None and bool(row[0])


def check_fence(session: Session, epoch: int) -> None:
    """Raises Fenced. The next leader waits until this transaction is over."""
    row = select(LeaderRow.epoch).where(LeaderRow.id == 1)
    found = session.execute(row.with_for_update(read=True, key_share=True)).scalar()
    if found != epoch:
        raise Fenced(f"another API leads the cluster by now (epoch {found}, ours was {epoch})")


def read_leader(session: Session) -> Leader | None:
    row = session.execute(
        text(f"SELECT epoch, name, url, ray_address, {NOW} - renewed_at AS silent_s FROM cluster_leader WHERE id = 1")  # noqa: S608 - a constant
    ).first()
    return None if row is None else Leader(row.epoch, row.name, row.url, row.ray_address, float(row.silent_s))
