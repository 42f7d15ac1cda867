"""A cluster of processes on loopback: APIs and nodes, each machine an address of its own, over one PostgreSQL."""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.support.places import REPOSITORY
from tests.support.service import Service, free_port, wait_for


def low_port() -> int:
    """A free port below those that Ray takes for its workers; any of them: others look for one at the same time."""
    busy = {c.laddr.port for c in psutil.net_connections("tcp") if c.laddr}
    return random.choice([port for port in range(7000, 10_000) if port not in busy])


class ClusterNode:
    """``actoscope node`` as a process."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str], host: str) -> None:
        self.name = name
        self.log_path = folder / "node.log"
        (folder / "data").mkdir(parents=True)
        self.environment = {
            **environment,
            "ACTOSCOPE_DATA_DIR": str(folder / "data"),
            "ACTOSCOPE_NODE": name,
            "ACTOSCOPE_CLUSTER_HOST": host,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> ClusterNode:
        with self.log_path.open("ab") as log:
            command = [sys.executable, "-m", "service.cli", "node"]
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, cwd=REPOSITORY)
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")


class Cluster:
    """Use as a context manager. ``settings``: of all its machines."""

    def __init__(self, folder: Path, cache: Path, url: str, **settings: str) -> None:
        self.folder, self.cache = folder, cache
        token = folder / "cluster.token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        self.settings = {
            **settings,
            "database_url": url,
            "cluster_token": str(token),
            "log_level": "info",
        }
        self.apis: list[Service] = []
        self.nodes: dict[str, ClusterNode] = {}

    def add_api(self) -> Service:
        number = len(self.apis)
        folder = self.folder / f"api{number}"
        api = Service(
            folder,
            self.cache,
            **self.settings,
            cluster="true",
            node=f"api{number}",
            cluster_host=f"127.0.0.{2 + number}",
            cluster_port=str(low_port()),
            public_url=f"http://127.0.0.1:{free_port()}",
        )
        if number:  # every API has the same key
            key = folder / "data" / "secret.key"
            key.write_bytes((self.folder / "api0" / "data" / "secret.key").read_bytes())
            key.chmod(0o600)
        self.apis.append(api)
        return api

    def add_node(self, name: str, **settings: str) -> ClusterNode:
        """``settings``: of this one alone."""
        environment = {
            name: value
            for name, value in self.apis[0].environment.items()
            if name not in ("ACTOSCOPE_CLUSTER", "ACTOSCOPE_CLUSTER_PORT", "ACTOSCOPE_PUBLIC_URL")
        }
        environment |= {f"ACTOSCOPE_{key.upper()}": value for key, value in settings.items()}
        folder = self.folder / name
        node = ClusterNode(name, folder, environment, f"127.0.0.{20 + len(self.nodes)}")
        link = folder / "data" / "cache"
        link.symlink_to(self.cache)
        self.nodes[name] = node
        return node.start()

    def placement(self, api: Service, stream_id: str) -> dict[str, Any]:
        answer = api.client.get(f"/v1/streams/{stream_id}/placement")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def linked(self, api: Service, count: int) -> bool:
        """Whether so many nodes are ready and heard of by the API that leads."""
        try:
            items = api.client.get("/v1/nodes").json()["items"]
        except httpx.TransportError:
            return False
        return sum(item["ready"] and not item["problem"] for item in items) >= count

    def wait_linked(self, api: Service, count: int, timeout_s: float) -> None:
        try:
            wait_for(lambda: self.linked(api, count), timeout_s, f"{count} nodes are ready and reached")
        except AssertionError as error:
            logs = "".join(f"\n--- {node.name}\n{node.log()[-2500:]}" for node in self.nodes.values())
            raise AssertionError(f"{error}\n--- api\n{api.log()[-2500:]}{logs}") from None

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes.values():
            node.stop()
        for api in self.apis:
            if api.process is not None and api.process.poll() is None:
                os.kill(api.process.pid, signal.SIGCONT)
                api.stop(40)
            api.client.close()
