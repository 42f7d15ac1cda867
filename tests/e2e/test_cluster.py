"""Several machines as one: real processes, real PostgreSQL, real Ray, each machine with a loopback address of its own.

T11: what a node watched is labelled by another within 15 s of its death.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import CACHE
from tests.service.storage.conftest import cluster_url  # noqa: F401 - a fixture
from tests.support.cluster import Cluster
from tests.support.postgres import postgres_url  # noqa: F401 - a fixture
from tests.support.service import SAMPLE_URL, Service, Subscriber

JOIN_S = 240.0  # Ray and networks, on two cores that others use too


def labelled(message: dict[str, Any]) -> bool:
    return any(track["action"] for track in message["tracks"])


def check_log(subscriber: Subscriber) -> None:
    """Numbers without a gap, and no action that begins twice."""
    numbered = [message for _, message in subscriber.messages if "seq" in message and message["type"] != "hello"]
    numbers = [message["seq"] for message in numbered]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    started = [m["event_id"] for m in numbered if m["type"] == "action" and m["kind"] == "started"]
    assert len(started) == len(set(started))


def test_what_a_killed_node_watched_is_labelled_by_another_within_15_s(
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
            before = cluster.placement(api, stream)
            victim = cluster.nodes[before["node"]]
            count, killed_s = len(subscriber.messages), time.monotonic()
            victim.kill()
            moved = wait_labelled_again(api, subscriber, stream, count)
            after = cluster.placement(api, stream)
            assert (after["node"] != before["node"], after["epoch"]) == (True, before["epoch"] + 1)
            assert moved - killed_s <= 15, f"labelled elsewhere after {moved - killed_s:.1f} s"
            old, new = ids(subscriber, 0, count), ids(subscriber, count, len(subscriber.messages))
            assert max(old) < min(new)
            check_log(subscriber)


def wait_labelled_again(api: Service, subscriber: Subscriber, stream: str, count: int) -> float:
    """→ when the first label came after the move (monotonic)."""
    subscriber.wait("stream", 60, lambda m: m["code"] == "moved", stream_id=stream)
    at = next(i for i, (_, m) in enumerate(subscriber.messages) if m.get("code") == "moved")
    subscriber.wait(
        "tracks",
        90,
        lambda m: labelled(m) and any(m is each for _, each in subscriber.messages[at:]),
        stream_id=stream,
    )
    return next(when for when, m in subscriber.messages[at:] if m["type"] == "tracks" and labelled(m))


def ids(subscriber: Subscriber, begin: int, end: int) -> set[int]:
    """→ numbers of people in messages of this span that came from a node."""
    tracks = [m for _, m in subscriber.messages[begin:end] if m["type"] == "tracks"]
    return {track["track_id"] for message in tracks for track in message["tracks"]}


pytestmark = [pytest.mark.exhaustive, pytest.mark.slow, pytest.mark.timeout(1200)]  # three Rays, some two minutes
