"""A model with two networks in the running service: which one answers is said, can be pinned, and changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import NewService
from tests.support.places import REPOSITORY
from tests.support.service import SAMPLE_URL, Service, Subscriber, wait_for


@pytest.fixture(scope="module")
def two_networks(
    tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path, new_service: NewService
) -> Iterator[Service]:
    """Both answer at once; the machine can afford either."""
    weights = tmp_path_factory.mktemp("weights")
    (weights / "person").symlink_to(REPOSITORY / "weights" / "person")
    shutil.copytree(tiny_weights, weights / "gym-light")
    shutil.copytree(tiny_weights, weights / "gym")
    card = json.loads((weights / "gym" / "card.json").read_text())
    (weights / "gym" / "card.json").write_text(json.dumps({**card, "light": "gym-light"}))
    folder = tmp_path_factory.mktemp("two")
    with new_service(folder, model="gym", weights_dir=str(weights), detector_image_size="320") as running:
        yield running


def labels_of(subscriber: Subscriber, stream: dict[str, Any], model: str) -> dict[str, Any]:
    """→ the first tracks message with a label of this network."""

    def named(message: dict[str, Any]) -> bool:
        return any(track["model"] == model and track["action"] for track in message["tracks"])

    return dict(subscriber.wait("tracks", 90, named, stream_id=stream["id"]))


def running_on(service: Service, stream: dict[str, Any], tier: str) -> dict[str, Any]:
    """→ the stream, once it says so: its process tells of itself once a second."""

    def said() -> dict[str, Any] | None:
        shown = service.stream(stream["id"])
        return shown if shown["tier_running"] == tier else None

    return dict(wait_for(said, 10, f"{stream['id']} runs on the {tier} network"))


def test_pinned_tier_answers_every_label_says_so_and_a_change_of_mind_is_followed(two_networks: Service):
    with two_networks.subscribe() as subscriber:
        stream = two_networks.add_stream(SAMPLE_URL, tier="light")
        labels_of(subscriber, stream, "gym-light")
        shown = running_on(two_networks, stream, "light")
        assert shown["tier"] == "light"
        assert shown["tier_reason"].startswith("pinned to light")
        assert not any(
            track["model"] == "gym" for message in subscriber.of_type("tracks") for track in message["tracks"]
        )
        two_networks.client.patch(f"/v1/streams/{stream['id']}", json={"tier": "full"})
        labels_of(subscriber, stream, "gym")
        running_on(two_networks, stream, "full")
    two_networks.client.delete(f"/v1/streams/{stream['id']}")


def test_both_networks_are_listed_with_what_runs_them_and_the_budget_is_measured(two_networks: Service):
    models = {item["id"]: item for item in two_networks.client.get("/v1/models").json()["items"]}
    assert models["gym"]["light"] == "gym-light"
    assert "OpenVINO" in models["gym-light"]["runtime"]
    metrics = two_networks.client.get("/metrics").text
    assert "actoscope_inference_budget_step" in metrics
    assert "actoscope_inference_detector_image_size" in metrics
