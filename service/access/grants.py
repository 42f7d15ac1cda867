"""What a principal's grants come to: the role on everything, roles on single streams, what may be seen. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from service.errors_base import invalid
from service.rights import ALL, EVERYTHING, GROUP, Grant, Role, Visible

MAX_GRANTS = 1000  # of one user or token
SKEW_S = 300.0  # as far may the clock of whoever grants be ahead
_STREAMS = re.compile(r"\*|str_[0-9a-f]{16}|group:[^\x00-\x1f\x7f]{1,200}")

Groups = Mapping[str, frozenset[str]]  # name → ids of its streams; ``*``: all streams


def visible_of(grants: Iterable[Grant], groups: Groups) -> tuple[Role | None, Mapping[str, Role], Visible]:
    """→ (role on ``*``, stream id → role, what may be seen). Of several grants the highest role and the longest
    history count. A history of all streams that has a beginning is spelt out over the streams that there are.
    """
    everywhere: Role | None = None
    roles: dict[str, Role] = {}
    since: dict[str, float | None] = {}
    all_of_it = False
    for grant in grants:
        if grant.streams == EVERYTHING:
            everywhere = _higher(everywhere, grant.role)
            all_of_it = all_of_it or grant.history_since is None
        for stream_id in _streams(grant, groups):
            if grant.streams != EVERYTHING:
                roles[stream_id] = _higher(roles.get(stream_id), grant.role)
            since[stream_id] = _earlier(since.get(stream_id, grant.history_since), grant.history_since)
    return everywhere, roles, ALL if all_of_it else Visible(since)


def needs_groups(grants: Iterable[Grant]) -> bool:
    """Whether ``visible_of`` has to be told of groups."""
    return any(
        grant.streams.startswith(GROUP) or (grant.streams == EVERYTHING and grant.history_since is not None)
        for grant in grants
    )


def administers(grants: Iterable[Grant]) -> bool:
    return any(grant.streams == EVERYTHING and grant.role is Role.ADMIN for grant in grants)


def check_grants(grants: tuple[Grant, ...], now: float) -> tuple[Grant, ...]:
    """Raises InvalidRequest for none, too many, streams that are none of the three, and a history that has not begun:
    what is live now would be seen all the same.
    """
    if not 1 <= len(grants) <= MAX_GRANTS:
        raise invalid("grants", f"1 to {MAX_GRANTS} grants", f"{len(grants)}")
    for grant in grants:
        if not _STREAMS.fullmatch(grant.streams):
            raise invalid("grants.streams", "*, an id of a stream or group:NAME", grant.streams)
        if grant.history_since is not None and grant.history_since > now + SKEW_S:
            raise invalid("grants.history_since", "a time that is over, or now", "one to come")
        if grant.role is Role.ADMIN and (grant.streams != EVERYTHING or grant.history_since is not None):
            raise invalid("grants.role", "viewer or operator: an admin sees and changes everything", "admin")
    return grants


def _streams(grant: Grant, groups: Groups) -> Iterable[str]:
    if grant.streams == EVERYTHING:
        return groups.get(EVERYTHING, ())
    if grant.streams.startswith(GROUP):
        return groups.get(grant.streams.removeprefix(GROUP), ())
    return (grant.streams,)


def _higher(one: Role | None, other: Role) -> Role:
    return other if one is None or other.covers(one) else one


def _earlier(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else min(one, other)
