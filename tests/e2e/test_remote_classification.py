"""A node whose worker cannot run a network has its clips classified on another node, and goes on without it."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import CACHE
from tests.e2e.test_cluster import JOIN_S
from tests.service.storage.conftest import cluster_url  # noqa: F401 - a fixture
from tests.support.cluster import Cluster
from tests.support.places import REPOSITORY
from tests.support.postgres import postgres_url  # noqa: F401 - a fixture
from tests.support.service import SAMPLE_URL, Service, Subscriber, wait_for

pytestmark = [pytest.mark.exhaustive, pytest.mark.slow, pytest.mark.timeout(1200)]

BORROWED = "actoscope_inference_borrowed_clips_total"
ENDED = "actoscope_inference_loans_ended_total"


def weights(folder: Path, tiny: Path) -> Path:
    """A model of two networks, which both answer at once."""
    folder.mkdir()
    (folder / "person").symlink_to(REPOSITORY / "weights" / "person")
    for name in ("gym", "gym-light"):
        shutil.copytree(tiny, folder / name)
    card = json.loads((folder / "gym" / "card.json").read_text())
    (folder / "gym" / "card.json").write_text(json.dumps({**card, "light": "gym-light"}))
    return folder


def labelled_by(subscriber: Subscriber, stream: str, model: str, timeout_s: float) -> None:
    """Waits for a label of this network that comes from now on."""
    count = len(subscriber.messages)

    def named(message: dict[str, Any]) -> bool:
        return (
            message["type"] == "tracks"
            and message["stream_id"] == stream
            and any(track["model"] == model and track["action"] for track in message["tracks"])
        )

    wait_for(lambda: any(named(m) for _, m in subscriber.messages[count:]), timeout_s, f"a label of {model}")


def lending(api: Service) -> dict[str, bool]:
    return {item["id"]: item["lends"] for item in api.client.get("/v1/nodes").json()["items"]}


def metric(api: Service, name: str, node: str) -> float:
    found = re.search(rf'^{name}\{{[^}}]*node="{node}"[^}}]*\}} (\S+)$', api.client.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_clips_are_classified_on_another_node_and_here_once_that_is_gone(
    tmp_path: Path,
    cluster_url: str,  # noqa: F811
    tiny_weights: Path,
):
    whole, broken = weights(tmp_path / "whole", tiny_weights), weights(tmp_path / "broken", tiny_weights)
    (broken / "gym" / "model.keras").write_bytes(b"no network")
    with Cluster(tmp_path, CACHE, cluster_url, model="gym", weights_dir=str(whole)) as cluster:
        api = cluster.add_api().start(ready=False)
        cluster.add_node("gpu", cluster_classify="always")
        cluster.add_node("yard", weights_dir=str(broken))
        cluster.wait_linked(api, 2, JOIN_S)
        wait_for(lambda: lending(api) == {"gpu": True, "yard": False}, 10, "the one lends")
        stream = api.add_stream(SAMPLE_URL)["id"]
        api.client.put(f"/v1/streams/{stream}/placement", json={"pin": "yard"})
        wait_for(lambda: cluster.placement(api, stream)["node"] == "yard", 30, "the stream is on the one without")
        with api.subscribe() as subscriber:
            labelled_by(subscriber, stream, "gym", 60)
            wait_for(lambda: metric(api, BORROWED, "yard") > 0, 10, "it is counted")
            wait_for(lambda: metric(api, "actoscope_inference_loans_given", "gpu") == 1, 10, "there, too")
            assert api.stream(stream)["tier_reason"].startswith("classified on gpu; here: ")
            cluster.nodes["gpu"].kill()
            killed_s = time.monotonic()
            labelled_by(subscriber, stream, "gym-light", 15)
            assert time.monotonic() - killed_s <= 15
            assert cluster.placement(api, stream)["node"] == "yard"
            wait_for(
                lambda: metric(api, "actoscope_inference_loans_ended_total", "yard") >= 1, 10, "its end is counted"
            )
