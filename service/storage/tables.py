"""The database's tables (SQLAlchemy 2). Times are Unix seconds; a change here needs a revision in ``migrations``."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Float, Index, Integer, String, Text, false, true
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Sequence = BigInteger().with_variant(Integer, "sqlite")  # SQLite's rowid alias must be named INTEGER


class Base(DeclarativeBase):
    pass


class StreamRow(Base):
    """What somebody asked to be watched."""

    __tablename__ = "streams"
    __table_args__ = (Index("ix_streams_created", "created_at", "id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    url_sealed: Mapped[str] = mapped_column(Text)  # encrypted by SecretBox; nothing of the URL stands beside it
    model: Mapped[str] = mapped_column(Text)
    options: Mapped[dict[str, Any]] = mapped_column(JSON)  # actions, record, transport, pace, loop, tier, snapshot_s …
    enabled: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[float] = mapped_column(Float(53))


class EventRow(Base):
    """One action of one person, from its start to its end; follows the messages with the same ``event_id``.

    No foreign key to the stream: what was seen outlives the stream that saw it.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_started", "started_at", "id"),
        Index("ix_events_stream", "stream_id", "started_at"),
        Index("ix_events_ended", "ended_at"),  # NULL while the action goes on
        Index("ix_events_audit", "stream_id", "audit", "track_id"),
    )

    id: Mapped[str] = mapped_column(String(80), primary_key=True)
    stream_id: Mapped[str] = mapped_column(String(40))
    track_id: Mapped[int] = mapped_column(BigInteger)
    action: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(10))  # of the newest message: started, updated, ended
    confidence: Mapped[float] = mapped_column(Float(53))
    peak_confidence: Mapped[float] = mapped_column(Float(53))
    start_s: Mapped[float] = mapped_column(Float(53))
    end_s: Mapped[float | None] = mapped_column(Float(53))
    started_at: Mapped[float] = mapped_column(Float(53))
    updated_at: Mapped[float] = mapped_column(Float(53))
    ended_at: Mapped[float | None] = mapped_column(Float(53))
    last_seq: Mapped[int] = mapped_column(BigInteger)
    model: Mapped[str | None] = mapped_column(Text)
    # Names of all zones that any of its messages names; NULL where there is none.
    zones: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    audit: Mapped[bool] = mapped_column(Boolean, server_default=false())  # of the audit sample: never trained on


class MessageRow(Base):
    """The log behind ``since_seq``: every action, presence and stream message, the oldest pruned."""

    __tablename__ = "messages"
    __table_args__ = (Index("ix_messages_stream", "stream_id", "seq"),)

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=False)
    type: Mapped[str] = mapped_column(String(16))
    stream_id: Mapped[str] = mapped_column(String(40))
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[float | None] = mapped_column(Float(53))  # when what it tells was so; None: the message does not say


class RecordingRow(Base):
    """One finished file. Paths are relative to the recordings folder."""

    __tablename__ = "recordings"
    __table_args__ = (
        Index("ix_recordings_started", "started_at", "id"),
        Index("ix_recordings_stream", "stream_id", "started_at"),
        Index("ix_recordings_came", "came"),
        Index("ix_recordings_place", "place", "came"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    stream_id: Mapped[str] = mapped_column(String(40))
    path: Mapped[str] = mapped_column(Text, unique=True)
    events_path: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[float] = mapped_column(Float(53))
    ended_at: Mapped[float] = mapped_column(Float(53))
    start_s: Mapped[float] = mapped_column(Float(53))  # media time of the first frame
    duration_s: Mapped[float] = mapped_column(Float(53))
    bytes: Mapped[int] = mapped_column(BigInteger)
    frames: Mapped[int] = mapped_column(BigInteger)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    overlay: Mapped[bool] = mapped_column(Boolean, server_default=true())  # drawn into its pictures
    came: Mapped[int] = mapped_column(BigInteger, server_default="0")  # an order that no setting of a clock changes
    place: Mapped[str] = mapped_column(String(10), server_default="local")  # s3: its files are in the bucket


class ZonesRow(Base):
    """The zones of one stream, together: ``[{"name", "polygon": [[x, y], …]}]`` in 0..1."""

    __tablename__ = "zones"

    stream_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    zones: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    changed_at: Mapped[float] = mapped_column(Float(53))


class PublishedRow(Base):
    """A retained MQTT topic that was published, so that it can be cleared, also after a crash."""

    __tablename__ = "mqtt_published"

    sink_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    stream_id: Mapped[str | None] = mapped_column(String(40))


class ObjectRow(Base):
    """One file that is in the bucket, is to come there, or is to go. It outlives the recording or incident (``owner``)
    until the object is gone: so no deletion is forgotten, and no object that is to go is taken for one without a row.
    """

    __tablename__ = "objects"
    __table_args__ = (
        Index("ix_objects_owner", "owner"),
        Index("ix_objects_due", "state", "next_at"),
        Index("ix_objects_here", "here", "here_since"),
        Index("ix_objects_node", "node", "state", "next_at"),
    )

    key: Mapped[str] = mapped_column(Text, primary_key=True)  # below the store's prefix
    path: Mapped[str] = mapped_column(Text)  # of the local file, relative to the data folder
    owner: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(10))  # waiting, stored, missing, deleting
    bytes: Mapped[int] = mapped_column(BigInteger)
    mtime: Mapped[float] = mapped_column(Float(53))  # of the file: an answer's ETag stays when the local copy goes
    sha256: Mapped[str] = mapped_column(String(64), server_default="")
    tag: Mapped[str] = mapped_column(Text, server_default="")  # the bucket's own
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    next_at: Mapped[float] = mapped_column(Float(53))  # of the next attempt
    since: Mapped[float] = mapped_column(Float(53))  # it waits
    stored_at: Mapped[float | None] = mapped_column(Float(53))
    here: Mapped[bool] = mapped_column(Boolean)  # there is a local copy
    here_since: Mapped[float] = mapped_column(Float(53))  # from which on that grows old
    node: Mapped[str] = mapped_column(String(60), server_default="")  # where the local copy is; empty: at the API


class BucketRow(Base):
    """Which Actoscope this is: a bucket's prefix belongs to one, by what it writes there. ``place``: a cluster's."""

    __tablename__ = "bucket"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)  # always 1
    owner: Mapped[str] = mapped_column(String(40))
    place: Mapped[str] = mapped_column(Text, server_default="")  # where all nodes send to; the API that leads says it
