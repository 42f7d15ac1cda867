"""Bodies about nodes and where streams run."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class NodeBucketBody(BaseModel):
    """What a node has sent to the bucket of the cluster, and what not."""

    place: str = Field(description="where it sends recordings; empty: to none", examples=["s3://cameras/site"])
    waiting: int = Field(description="files that are not there yet")
    waiting_bytes: int
    oldest_s: float = Field(description="how long the file that waits longest does", examples=[4.2])
    missing: int = Field(description="files that were there or were to go there, and are nowhere else")
    problem: str = Field(description="why its recordings do not go there; empty: they do")


class NodeBody(BaseModel):
    """A machine that runs streams, as it told of itself last."""

    id: str = Field(description="its name", examples=["yard-1"])
    site: str = Field(examples=["yard"])
    address: str = Field(examples=["10.0.0.11"])
    version: str
    cores: int
    gpus: int
    lends: bool = Field(description="it classifies clips of nodes that cannot do it themselves")
    capacity: int = Field(description="streams that it takes at most", examples=[8])
    load: float = Field(description="parts of its cores that are taken", examples=[0.42])
    alive: bool = Field(description="it was heard of within six seconds")
    ready: bool = Field(description="its networks are loaded")
    draining: bool = Field(description="it gets no stream, and lets go of those that others take")
    seen_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    started_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    streams: list[str] = Field(description="of those that may be seen, the ones whose lease it has")
    leases: int = Field(description="how many streams it has in all")
    problem: str = Field(description="why the API that leads cannot reach it; empty: it can, or this is another API")
    bucket: NodeBucketBody | None = Field(description="null: neither it nor the cluster sends recordings to a bucket")


class LeaderBody(BaseModel):
    """The API that leads: it alone changes things and answers websockets."""

    name: str
    url: str
    epoch: int
    silent_s: float = Field(description="seconds since it was heard of")


class Nodes(BaseModel):
    """Without a cluster: no leader, no nodes."""

    leader: LeaderBody | None
    leads: bool = Field(description="whether that is the API which answers")
    items: list[NodeBody]
    next_cursor: None = None


class PlacementPut(BaseModel):
    """Where a stream is to run; both empty: anywhere."""

    model_config = ConfigDict(extra="forbid")

    site: str = Field("", max_length=60, description="only on nodes of this site", examples=["yard"])
    pin: str = Field("", max_length=60, description="only on this node", examples=["yard-1"])


class PlacementBody(BaseModel):
    site: str
    pin: str
    node: str | None = Field(description="who has it now", examples=["yard-1"])
    epoch: int = Field(description="how often it was given to a node", examples=[3])
