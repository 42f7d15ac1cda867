"""What the worker of a cluster's node knows of other nodes, and the seam at which they come in (``lending``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import Enum

from service.budget.plan import Plan, StreamLoad
from service.engine import Pictures
from service.processes.connection import Connection
from service.processes.inference_messages import ClipOffer
from service.processes.messages import InferenceSetup, message


class Borrow(str, Enum):
    """When another node classifies a stream's clips. ``AUTO``: where this one cannot give it the full network."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Lender:
    """A node that classifies others' clips. ``address``: ``host:port`` where it takes them."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class LendingSetup:
    """``token``: the cluster's. ``name``: this node's. ``host``: where it takes others' clips, empty: nowhere; ``port``
    there, 0: any.
    """

    token: str = field(repr=False)
    name: str
    host: str = ""
    borrow: Borrow = Borrow.NEVER
    port: int = 0


@message("node_inference_setup")
@dataclass(frozen=True, kw_only=True)
class NodeInferenceSetup(InferenceSetup):
    """supervisor → inference process of a node, first."""

    lending: LendingSetup

    @classmethod
    def of(cls, setup: InferenceSetup, lending: LendingSetup) -> NodeInferenceSetup:
        """→ the same for a node."""
        return cls(**{each.name: getattr(setup, each.name) for each in fields(setup)}, lending=lending)


@message("use_lenders")
@dataclass(frozen=True, slots=True)
class UseLenders:
    """supervisor → inference process: who classifies others' clips by now; all of them."""

    lenders: tuple[Lender, ...]


class Loans:
    """Own streams whose clips another node classifies; on a machine by itself there are none, and this is that.

    What a stream says comes here first. Methods that answer say whether it was for the stream's loan.
    """

    def join(self, connection: Connection, model: str, labels: tuple[str, ...]) -> None:
        """A stream, or one that goes on with another network."""

    def leave(self, number: int) -> None:
        """The stream has left."""

    def offer(self, number: int, offer: ClipOffer) -> bool:
        return False

    def take(self, number: int, track_id: int, clip: tuple[str, Pictures] | None) -> bool:
        """What the stream gave when it was asked: network and pictures, None: it has none."""
        return False

    def gone(self, number: int, track_id: int) -> None:
        """The track has left."""

    def observe(self, number: int, load: StreamLoad) -> None:
        """What the stream asks of a machine now."""

    def plan(self, number: int, short: bool, plan: Plan) -> Plan:
        """→ what a stream gets that this machine gives ``plan``; ``short``: that is less than the full network."""
        return plan

    def instead(self, number: int) -> bool:
        """Whether the stream's full network need not be tried here."""
        return False

    def use(self, lenders: Sequence[Lender]) -> None:
        """Who lends by now."""


NO_LOANS = Loans()
