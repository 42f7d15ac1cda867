"""Tables of a cluster. Times are Unix seconds by the database's clock, which alone all machines share."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Float, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from service.storage.tables import Base


class NodeRow(Base):
    """A machine that runs streams, as it told of itself last. ``incarnation``: of its agent's process."""

    __tablename__ = "nodes"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    incarnation: Mapped[str] = mapped_column(String(40))
    version: Mapped[str] = mapped_column(Text)
    site: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    cores: Mapped[int] = mapped_column(Integer)
    gpus: Mapped[int] = mapped_column(Integer)
    capacity: Mapped[int] = mapped_column(Integer)  # streams, at most
    load: Mapped[float] = mapped_column(Float(53))  # parts of its cores that are taken, 0..1
    ready: Mapped[bool] = mapped_column(Boolean)
    lends: Mapped[str] = mapped_column(Text, server_default="")  # where it classifies others' clips
    store: Mapped[str] = mapped_column(Text, server_default="")  # the bucket that it sends recordings to
    store_problem: Mapped[str] = mapped_column(Text, server_default="")
    draining: Mapped[bool] = mapped_column(Boolean)
    started_at: Mapped[float] = mapped_column(Float(53))
    seen_at: Mapped[float] = mapped_column(Float(53))


class LeaseRow(Base):
    """Who may run a stream, and until when. Each change of the node raises ``epoch``; a row goes with its stream.

    Not indexed by time: every renewal would then write the index too.
    """

    __tablename__ = "stream_leases"

    stream_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    node: Mapped[str | None] = mapped_column(String(60))  # None: given up
    epoch: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[float] = mapped_column(Float(53))
    next_track: Mapped[int] = mapped_column(BigInteger)  # as its node said last


class PlacementRow(Base):
    """Where somebody wants a stream to run. ``site``: nodes of that label; ``pin``: this node and no other."""

    __tablename__ = "stream_placements"

    stream_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    site: Mapped[str] = mapped_column(Text)
    pin: Mapped[str] = mapped_column(Text)


class LeaderRow(Base):
    """The one API that leads (the only row has id 1). Whoever writes for it names its ``epoch``."""

    __tablename__ = "cluster_leader"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    epoch: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    ray_address: Mapped[str] = mapped_column(Text)
    backend: Mapped[int] = mapped_column(Integer)  # the server's process that holds its lock
    renewed_at: Mapped[float] = mapped_column(Float(53))


class SpoolRow(Base):
    """Up to where a node's spool is in the log. ``spool``: of which file of that node."""

    __tablename__ = "node_spools"

    node: Mapped[str] = mapped_column(String(60), primary_key=True)
    spool: Mapped[str] = mapped_column(String(40))
    taken: Mapped[int] = mapped_column(BigInteger)


NEW, LISTED = "", "listed"  # states of a node's recordings: nobody has looked at it, its files have rows (``objects``)
# It is to be deleted there; so is what was on its way to the bucket then; of which only that is left.
DOOMED, SENDING, LOOSE = "doomed", "sending", "loose"
_UNFINISHED = text(f"state <> '{LISTED}'")


class RecordingNodeRow(Base):
    """On which node a recording was made. Its row outlives the recording until the node has deleted its copy."""

    __tablename__ = "recording_nodes"
    __table_args__ = (
        Index(
            "ix_recording_nodes_unfinished",
            "node",
            "state",
            postgresql_where=_UNFINISHED,
            sqlite_where=_UNFINISHED,
        ),
    )

    path: Mapped[str] = mapped_column(Text, primary_key=True)
    node: Mapped[str] = mapped_column(String(60))
    state: Mapped[str] = mapped_column(String(10), server_default=NEW)


class PointerRow(Base):
    """Which version of a model serves: ``versions.pointer``'s file, for the API that leads next."""

    __tablename__ = "model_pointers"

    alias: Mapped[str] = mapped_column(Text, primary_key=True)
    content: Mapped[str] = mapped_column(Text)
