"""What can go wrong between machines."""

from __future__ import annotations

from service.errors_base import Conflict, ServiceError, Unavailable


class ClusterError(ServiceError, RuntimeError):
    """The cluster mode cannot be: the message says what it needs."""


class LinkDown(Unavailable, ConnectionError):
    """A node cannot be reached now."""


class WayBroken(LinkDown):
    """The connection is no more, or cannot be made: another may have to be asked for."""


class OldLeader(Conflict):
    """Another API leads by now: this one's orders do not count."""


class CallFailed(ServiceError, RuntimeError):
    """A node could not do what it was asked for; its own words."""
