"""A cluster of one API and one node, started and asked as the service of one machine is: ``make test-cluster``."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
from pathlib import Path

import psutil
from sqlalchemy import text
from sqlalchemy.engine import make_url

from service.storage.database import make_engine
from tests.support.cluster import ClusterNode, low_port
from tests.support.service import Service, children_of, wait_for

MODE = os.environ.get("ACTOSCOPE_TEST_MODE", "single")  # cluster: running services of tests are clusters
if MODE not in ("single", "cluster"):
    raise ValueError(f"ACTOSCOPE_TEST_MODE: expected single or cluster, got {MODE}")
STREAMS = "64"  # that the node takes: how many there may be is a setting of the API
JOIN_S = 120.0
_NUMBERS = itertools.count(1)


class ClusterService(Service):
    """``database_url``: of a PostgreSQL of its own. Both processes write one log. Whoever kills it, kills the API."""

    def __init__(self, folder: Path, cache: Path, database_url: str, **settings: str) -> None:
        super().__init__(folder, cache, **settings)
        token = folder / "cluster.token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        network = f"127.0.{next(_NUMBERS)}"  # each machine has an address of its own
        self.environment |= {
            "ACTOSCOPE_CLUSTER": "true",
            "ACTOSCOPE_CLUSTER_HOST": f"{network}.1",
            "ACTOSCOPE_CLUSTER_TOKEN": str(token),
            "ACTOSCOPE_DATABASE_URL": database_url,
            "ACTOSCOPE_NODE": "api",
        }
        self.node = ClusterNode("node", folder / "node", {}, f"{network}.2")
        self.node.log_path = self.log_path
        (folder / "node" / "data" / "cache").symlink_to(cache)

    def start(self, ready: bool = True) -> ClusterService:
        """Where it does not come up, nothing of it is left."""
        self.environment["ACTOSCOPE_CLUSTER_PORT"] = str(low_port())
        try:
            super().start(ready=False)
            if self.node.process is None or self.node.process.poll() is not None:
                self._start_node()
            if ready:
                wait_for(self._joined, JOIN_S, "the node has joined, with models loaded")
        except AssertionError as error:
            with contextlib.suppress(AssertionError):
                self.stop()
            raise AssertionError(f"{error}; the log: {self.log()[-3000:]}") from None
        return self

    def _start_node(self) -> None:
        mine = ("ACTOSCOPE_DATA_DIR", "ACTOSCOPE_NODE", "ACTOSCOPE_CLUSTER_HOST")
        left_out = ("ACTOSCOPE_CLUSTER", "ACTOSCOPE_CLUSTER_PORT")
        given = {name: value for name, value in self.environment.items() if name not in (*mine, *left_out)}
        own = {name: self.node.environment[name] for name in mine}
        self.node.environment = {**given, **own, "ACTOSCOPE_CLUSTER_CAPACITY": STREAMS}
        self.node.start()

    def _joined(self) -> bool:
        """Whether it is ready, and the leader has heard of the node what is loaded there."""
        return self._answers("/readyz") and bool(self.client.get("/readyz").json()["inference"]["parts"])

    def stop(self, timeout_s: float = 15) -> int:
        """The node first, so that its streams end in good order; then the API and its Ray."""
        self.node.stop()
        return super().stop(timeout_s + 25)

    def children(self, module: str) -> list[psutil.Process]:
        return [*super().children(module), *children_of(self.node.process, module)]


def new_database(server: str) -> str:
    """→ the URL of a database without a table, on a server that is known by one of its databases."""
    name = f"actoscope_{secrets.token_hex(4)}"
    engine = make_engine(server)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return make_url(server).set(database=name).render_as_string(hide_password=False)
