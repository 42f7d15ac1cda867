"""Which Ray runs jobs: the cluster's, found by its database or named, or one of this machine for the while."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.cluster.links.addresses import cluster_database, impatient
from service.cluster.links.errors import ClusterError
from service.cluster.links.ray_setup import check_ray
from service.cluster.links.token import check_token, ray_environment
from service.settings import Settings
from service.storage.cluster.leader import read_leader
from service.storage.database import Database

LOCAL = "local"
LOOPBACK = "127.0.0.2"  # for 127.0.0.1 Ray takes the machine's address in the network
OLD_S = 30.0  # an API that was silent for so long leads nothing


@dataclass(frozen=True, slots=True)
class RayPlace:
    """``address``: host and port of the head, or ``local``. ``host``: of this machine there, empty: found."""

    address: str
    host: str = ""

    @property
    def is_local(self) -> bool:
        return self.address == LOCAL


@contextmanager
def ray_place(settings: Settings, address: str | None) -> Iterator[RayPlace]:
    """→ where jobs run. Inside, this process has the environment that Ray wants, which has to be there before Ray is
    loaded, and is read once: a process speaks to one Ray.

    Raises ClusterError saying what is missing, StoreError where the database cannot be asked.
    """
    check_ray()
    if address == LOCAL:
        with tempfile.TemporaryDirectory(prefix="actoscope-ray-") as folder:
            token = Path(folder) / "token"
            token.touch(0o600)
            token.write_text(secrets.token_hex(32))
            _enter(token)
            yield RayPlace(LOCAL, LOOPBACK)
        return
    token = check_token(settings.cluster_token)
    place = RayPlace(address or asyncio.run(_leading(settings)), settings.cluster_host)
    _enter(token)
    yield place


async def _leading(settings: Settings) -> str:
    """→ where the API that leads has its Ray."""
    database = Database(impatient(cluster_database(settings)))
    try:
        leader = await database.read(read_leader)
    finally:
        await database.close()
    if leader is None or leader.silent_s > OLD_S:
        raise ClusterError("no API leads the cluster now (`actoscope serve --cluster`): there is no Ray to join")
    return leader.ray_address


def _enter(token: Path) -> None:
    wanted = ray_environment(token)
    os.environ.update({name: value for name, value in wanted.items() if name.startswith(("RAY_", "PYTHONPATH"))})
