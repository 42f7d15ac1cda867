"""Where a recorded file of a node is now, as far as the database knows, and what is said where it cannot be seen."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from service.bucket.keys import key_of as object_key
from service.errors_base import NotFound, ServiceError, Unavailable
from service.storage.cluster.nodes import Node, read_node
from service.storage.cluster.tables import RecordingNodeRow
from service.storage.objects import MISSING, RECORDINGS, STORED, ObjectRecord, to_record
from service.storage.tables import ObjectRow
from service.wire_messages import rfc3339

AWAY_AGAIN_S = 60  # a node that is silent
LINK_AGAIN_S = 10  # one that lives and could not be reached


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """``name``: of the node that made it; ``node`` None: that has left the cluster. ``state``: of its row there.
    ``kept``: what it is in the bucket; None: nobody has written down yet that it is to be sent.
    """

    name: str
    node: Node | None
    state: str
    kept: ObjectRecord | None

    @property
    def is_stored(self) -> bool:
        return self.kept is not None and self.kept.state == STORED

    @property
    def may_be_there(self) -> bool:
        """Whether asking the node is worth it: one that is silent is asked only for what is nowhere else."""
        if self.node is None or (self.kept is not None and not self.kept.here):
            return False
        return self.node.alive or not self.is_stored

    def away(self, error: object) -> Unavailable:
        """→ why a file that only its node may have cannot be seen now, and when it can be."""
        if self.node is None or self.node.alive:
            return Unavailable(f"this recording lies on node {self.name}: {error}", LINK_AGAIN_S)
        return Unavailable(
            f"this recording lies on node {self.name} alone, which was heard of last at {rfc3339(self.node.seen_at)}: "
            "it can be seen as soon as that is back",
            AWAY_AGAIN_S,
        )

    def refusal(self, has_bucket: bool) -> ServiceError:
        """→ why it cannot be seen where the node has not given it."""
        if self.is_stored and not has_bucket:
            return Unavailable("this recording is in a bucket, and this API has none: ACTOSCOPE_STORE names none")
        if self.kept is not None and self.kept.state == MISSING and self.kept.stored_at is not None:
            return NotFound("the file is gone, also from the bucket that it was in")
        if self.node is None:
            return NotFound(f"this recording lay on node {self.name}, which has left the cluster, and is in no bucket")
        return NotFound("the file of this recording is gone")


def key_of(relative: str) -> str:
    """→ the video that a file belongs to: the row names that one."""
    return relative if relative.endswith(".mp4") else relative.partition(".")[0] + ".mp4"


def read_whereabouts(session: Session, relative: str) -> Whereabouts | None:
    """→ None: no node has made it."""
    row = session.get(RecordingNodeRow, key_of(relative))
    if row is None:
        return None
    found = session.get(ObjectRow, object_key(f"{RECORDINGS}/{relative}"))
    return Whereabouts(row.node, read_node(session, row.node), row.state, None if found is None else to_record(found))
