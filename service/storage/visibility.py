"""What a principal may see, as a condition of a query: every answer about streams is made of rows that pass it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, true

from service.rights import Visible

_TOGETHER = 100  # SQLite counts each OR as a level of an expression, and allows 1,000

_Group = tuple[float | None, Sequence[str]]  # since when, which streams


def seen(visible: Visible, stream: Any, at: Any = None) -> ColumnElement[bool]:
    """→ the condition for rows of a stream (its column), of a time (a column of Unix times; None: of now).

    A row without a time passes only where all of the stream's past may be seen. SQLite takes 32,766 streams,
    PostgreSQL 65,535.
    """
    if visible.streams is None:
        return true()
    if at is None:
        return stream.in_(tuple(visible.streams)) if visible.streams else false()
    groups = _by_since(visible.streams)
    if len(groups) <= _TOGETHER:
        return _any(stream, at, groups)
    parts = [groups[start : start + _TOGETHER] for start in range(0, len(groups), _TOGETHER)]
    return or_(*(and_(stream.in_(_streams(part)), _any(stream, at, part)) for part in parts))


def _by_since(streams: Mapping[str, float | None]) -> list[_Group]:
    """Grants are few, whatever the number of streams: those with the same beginning are asked for together."""
    groups: dict[float | None, list[str]] = {}
    for stream_id, since in streams.items():
        groups.setdefault(since, []).append(stream_id)
    return list(groups.items())


def _streams(groups: Iterable[_Group]) -> tuple[str, ...]:
    return tuple(chain.from_iterable(ids for _, ids in groups))


def _any(stream: Any, at: Any, groups: Iterable[_Group]) -> ColumnElement[bool]:
    return or_(false(), *(_since(stream, at, ids, since) for since, ids in groups))


def _since(stream: Any, at: Any, ids: Sequence[str], since: float | None) -> ColumnElement[bool]:
    among: ColumnElement[bool] = stream.in_(ids)
    return among if since is None else and_(among, at >= since)
