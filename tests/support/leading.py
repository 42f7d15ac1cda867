"""An application in this process that leads a cluster: no Ray, a scripted supervisor, everything else as it is."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from service.cluster import ground
from service.cluster.cluster_supervisor import Reign
from service.hub import Hub
from service.settings import Settings
from service.storage.store import Store
from tests.service.scripted import ScriptedSupervisor


class NoRay:
    """In the place of ``RayChild``: no node can be reached."""

    def __init__(self, environment: Mapping[str, str]) -> None: ...

    def open(self) -> None: ...

    def go(self, setup: Mapping[str, object] | None) -> None: ...

    async def close(self) -> None: ...


@contextmanager
def led_by(kind: type[ScriptedSupervisor]) -> Iterator[None]:
    """Applications that begin to lead meanwhile have supervisors of this kind."""

    def made(settings: Settings, hub: Hub, store: Store, reign: Reign) -> ScriptedSupervisor:
        scripted: Any = kind(settings, hub, store)
        scripted.peers, scripted.ring = {}, lambda: None  # as far as ``ClusterView`` asks
        return scripted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ground, "RayChild", NoRay)
        patch.setattr(ground, "ClusterSupervisor", made)
        yield


def leading(settings: Settings, folder: Path, database_url: str) -> Settings:
    """→ the same settings, of an API of a cluster. ``database_url``: of an empty PostgreSQL of its own."""
    token = folder / "cluster.token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    changes = {"cluster": True, "cluster_token": token, "database_url": SecretStr(database_url)}
    return settings.model_copy(update={**changes, "cluster_host": "127.0.0.1"})
