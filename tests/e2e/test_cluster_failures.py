"""One cluster after the other failure: the database cut off, Ray's head killed, an agent stopped, the leader killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import text

from service.storage.database import make_engine
from tests.e2e.conftest import CACHE
from tests.e2e.test_cluster import JOIN_S, check_log, ids, labelled, wait_labelled_again
from tests.service.storage.conftest import cluster_url  # noqa: F401 - a fixture
from tests.support.cluster import Cluster
from tests.support.postgres import postgres_url  # noqa: F401 - a fixture
from tests.support.service import SAMPLE_URL, Service, Subscriber, wait_for

CUT = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename IS NOT NULL"
)
STOPPED_S = 20.0
LEAD_S = 10.0

pytestmark = [pytest.mark.exhaustive, pytest.mark.slow, pytest.mark.timeout(1200)]


def test_streams_go_on_whatever_fails(
    tmp_path: Path,
    cluster_url: str,  # noqa: F811
    quick: dict[str, str],
):
    with Cluster(tmp_path, CACHE, cluster_url, **quick) as cluster:
        api = cluster.add_api().start(ready=False)
        cluster.add_node("a")
        cluster.add_node("b")
        cluster.wait_linked(api, 2, JOIN_S)
        stream = api.add_stream(SAMPLE_URL)["id"]
        with api.subscribe() as subscriber:
            subscriber.wait("tracks", 90, labelled, stream_id=stream)
            connections_break(cluster, api, subscriber, stream, cluster_url)
            second = cluster.add_api().start(ready=False)  # only now: it may be the faster one at the lock
            head_is_killed(cluster, api, subscriber, stream)
            agent_is_stopped(cluster, api, subscriber, stream)
            check_log(subscriber)
        leader_is_killed(cluster, api, second, stream)


def labels_go_on(subscriber: Subscriber, stream: str, timeout_s: float) -> None:
    count = len(subscriber.messages)

    def came() -> bool:
        return any(
            m["type"] == "tracks" and m["stream_id"] == stream and labelled(m) for _, m in subscriber.messages[count:]
        )

    wait_for(came, timeout_s, "labels go on")


def connections_break(cluster: Cluster, api: Service, subscriber: Subscriber, stream: str, url: str) -> None:
    """As a restart of PostgreSQL does: the only API leads on, the same node has the stream under the same epoch."""
    before = cluster.placement(api, stream)
    epoch = api.client.get("/v1/nodes").json()["leader"]["epoch"]
    engine = make_engine(url)
    with engine.connect() as connection:
        assert len(connection.execute(CUT).all()) > 5
    engine.dispose()
    time.sleep(10)  # longer than a lease counts
    labels_go_on(subscriber, stream, 60)
    assert cluster.placement(api, stream) == before
    leader = api.client.get("/v1/nodes").json()
    assert leader["leads"] and leader["leader"]["epoch"] == epoch


def head_is_killed(cluster: Cluster, api: Service, subscriber: Subscriber, stream: str) -> None:
    """The stream does not notice; what it says comes once Ray is there again."""
    before, restarts = cluster.placement(api, stream), api.stream(stream)["restarts"]
    heads = [child for child in psutil.Process(api.pid).children(recursive=True) if "gcs_server" in child.name()]
    assert heads
    for head in heads:
        head.kill()
    killed_s = time.monotonic()
    labels_go_on(subscriber, stream, JOIN_S)
    cluster.wait_linked(api, 2, JOIN_S)
    assert cluster.placement(api, stream) == before and api.stream(stream)["restarts"] == restarts
    assert time.monotonic() - killed_s < JOIN_S


def agent_is_stopped(cluster: Cluster, api: Service, subscriber: Subscriber, stream: str) -> None:
    """For 20 s: another node has its stream, and of its old epoch nothing comes when it wakes."""
    victim = cluster.nodes[cluster.placement(api, stream)["node"]]
    old, count = ids(subscriber, 0, len(subscriber.messages)), len(subscriber.messages)
    victim.send(signal.SIGSTOP)
    stopped_s = time.monotonic()
    wait_labelled_again(api, subscriber, stream, count)
    while time.monotonic() < stopped_s + STOPPED_S:
        time.sleep(0.2)
    victim.send(signal.SIGCONT)
    cluster.wait_linked(api, 2, JOIN_S)
    labels_go_on(subscriber, stream, 60)
    at = next(i for i, (_, m) in enumerate(subscriber.messages) if m.get("code") == "moved")
    assert min(ids(subscriber, at, len(subscriber.messages))) > max(old)
    assert cluster.placement(api, stream)["node"] != victim.name


def leader_is_killed(cluster: Cluster, api: Service, second: Service, stream: str) -> None:
    """Another API leads within 10 s; the stream does not notice, and the log goes on where it was."""
    before = cluster.placement(api, stream)
    assert second.client.delete(f"/v1/streams/{stream}").status_code == 503
    os.kill(api.pid, signal.SIGKILL)
    killed_s = time.monotonic()
    wait_for(lambda: leads(second), 60, "the second leads")
    assert time.monotonic() - killed_s <= LEAD_S
    with second.subscribe("?since_seq=0") as subscriber:
        subscriber.wait("tracks", JOIN_S, labelled, stream_id=stream)
        check_log(subscriber)
    assert cluster.placement(second, stream) == before


def leads(api: Service) -> bool:
    try:
        return bool(api.client.get("/v1/nodes").json().get("leads"))
    except httpx.TransportError:
        return False
