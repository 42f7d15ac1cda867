"""Grants as tables keep them: ``[{"role", "streams", "history_since"}]``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from service.rights import Grant, Role


def to_json(grants: Iterable[Grant]) -> list[dict[str, Any]]:
    return [{"role": each.role.value, "streams": each.streams, "history_since": each.history_since} for each in grants]


def from_json(items: Iterable[Mapping[str, Any]]) -> tuple[Grant, ...]:
    return tuple(Grant(Role(item["role"]), item["streams"], item.get("history_since")) for item in items)
