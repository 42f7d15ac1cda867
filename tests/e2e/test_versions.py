"""Versions of a model in the running service: promoted and rolled back under a stream that goes on, and what fails."""

from __future__ import annotations

import json
import shutil
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from pipeline.files import file_sha256
from service.configuration import EngineConfig
from service.engine import InferenceEngine, Pictures
from service.processes.network_desk import NetworkDesk
from service.processes.planner import Planner
from service.processes.version_messages import LoadNetworks, NetworksLoaded
from tests.e2e.conftest import CACHE, NewService
from tests.support.places import REPOSITORY
from tests.support.service import SAMPLE_URL, Service, Subscriber, wait_for

FORCED: dict[str, Any] = {"reason": "a test", "force": True}
LOW = dict.fromkeys(("Fighting", "Standing", "Walking"), 0.15)  # what a network without knowledge reaches always
FIRST, SECOND = ("gym", "gym-light"), ("gym@2", "gym-light@2")


def version(tiny: Path, weights: Path, name: str, light: str = "", comment: bytes = b"", **card: Any) -> None:
    """A copy under another name. ``comment`` makes another file of the same network, which is converted anew."""
    folder = weights / name
    shutil.copytree(tiny, folder)
    if comment:
        with zipfile.ZipFile(folder / "model.keras", "a") as file:
            file.comment = comment
    sums = {file: file_sha256(folder / file) for file in ("model.keras", "labels.txt")}
    before = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**before, "light": light, "sha256": sums, **card}))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> Path:
    """Two versions of two networks each; the second is less sure of what it sees."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "person").symlink_to(REPOSITORY / "weights" / "person")
    for suffix, temperature in (("", 1.0), ("@2", 3.0)):
        version(tiny_weights, folder, f"gym-light{suffix}", temperature=temperature)
        version(tiny_weights, folder, f"gym{suffix}", f"gym-light{suffix}", temperature=temperature)
    return folder


@pytest.fixture(scope="module")
def gym(tmp_path_factory: pytest.TempPathFactory, weights: Path, new_service: NewService) -> Iterator[Service]:
    settings = {"model": "gym", "weights_dir": str(weights), "detector_image_size": "320"}
    with new_service(tmp_path_factory.mktemp("versions"), **settings) as running:
        yield running


def post(service: Service, what: str, timeout_s: float = 60, **body: Any) -> httpx.Response:
    return service.client.post(f"/v1/models/gym/{what}", json=body, timeout=timeout_s)


def labelled_by(subscriber: Subscriber, networks: tuple[str, ...], after: int = 0) -> dict[str, Any]:
    """→ the first tracks message, of those after so many, with a label of one of these networks."""

    def found() -> dict[str, Any] | None:
        later = [message for _, message in subscriber.messages[after:] if message["type"] == "tracks"]
        return next((each for each in later if any(track["model"] in networks for track in each["tracks"])), None)

    return dict(wait_for(found, 60, f"a label of {networks}"))


def somebody_went_on(heard: list[dict[str, Any]], former: tuple[str, ...], new: tuple[str, ...]) -> bool:
    """Whether one whom the former version labelled has a label of the new one later, under the same ID."""
    people = [each for message in heard if message["type"] == "tracks" for each in message["tracks"]]
    labelled: set[int] = set()
    for each in people:
        if each["model"] in former:
            labelled.add(each["track_id"])
        elif each["model"] in new and each["track_id"] in labelled:
            return True
    return False


def all_of(subscriber: Subscriber) -> list[dict[str, Any]]:
    return [message for _, message in list(subscriber.messages)]


def test_version_takes_over_between_two_clips_and_gives_back_within_five_seconds(gym: Service):
    with gym.subscribe() as subscriber:
        stream = gym.add_stream(SAMPLE_URL, actions=LOW)
        labelled_by(subscriber, FIRST)
        going_on = subscriber.wait("action", 30, kind="started", stream_id=stream["id"])
        (process,) = gym.children("stream_process")
        (inference,) = gym.children("inference_process")
        promoted = post(gym, "promote", version="gym@2", **FORCED)
        assert promoted.status_code == 200, promoted.text
        assert promoted.json()["version"] == "gym@2"
        asked = len(subscriber.messages)
        wait_for(lambda: somebody_went_on(all_of(subscriber), FIRST, SECOND), 60, "somebody whom both labelled")
        begin = time.monotonic()
        back = post(gym, "rollback", reason="a test")
        took_s = time.monotonic() - begin
        assert back.status_code == 200, back.text
        assert took_s <= 5, took_s
        wait_for(lambda: somebody_went_on(all_of(subscriber)[asked:], SECOND, FIRST), 60, "the same back")
        wait_for(lambda: len(changes_told(all_of(subscriber))) >= 2, 10, "both changes are told")
        check_events(all_of(subscriber), going_on)
    assert [each.pid for each in gym.children("stream_process")] == [process.pid]
    assert [each.pid for each in gym.children("inference_process")] == [inference.pid]
    assert gym.stream(stream["id"])["restarts"] == 0
    assert gym.stream(stream["id"])["version"] == "gym"
    gym.client.delete(f"/v1/streams/{stream['id']}")


def changes_told(heard: list[dict[str, Any]]) -> list[str]:
    return [message["reason"] for message in heard if message["type"] == "stream" and message["code"] == "model"]


def check_events(heard: list[dict[str, Any]], going_on: dict[str, Any]) -> None:
    """Messages have no gaps, no action ends because another version answers, and each says which one did."""
    numbers = [message["seq"] for message in heard if "seq" in message and message["type"] != "hello"]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    told = changes_told(heard)
    assert [text.partition(":")[0] for text in told] == [f"{name} answers from now on" for name in ("gym@2", "gym")]
    assert {message["state"] for message in heard if message["type"] == "stream"} <= {"connecting", "running"}
    actions = [message for message in heard if message["type"] == "action"]
    assert {message["model"] for message in actions} <= {*FIRST, *SECOND}
    starts = [message["event_id"] for message in actions if message["kind"] == "started"]
    assert len(starts) == len(set(starts)) and going_on["event_id"] in starts
    by_track = [(message["track_id"], message["action"]) for message in actions if message["kind"] == "started"]
    ended = [message["event_id"] for message in actions if message["kind"] == "ended"]
    assert len(by_track) - len(set(by_track)) <= len(ended), "what goes on is not told as begun again"


@pytest.mark.exhaustive
def test_version_that_is_tried_is_told_of_and_speaks_to_nobody(gym: Service):
    with gym.subscribe() as subscriber:
        stream = gym.add_stream(SAMPLE_URL, actions=LOW)
        assert post(gym, "shadow", version="gym@2").status_code == 200
        labelled_by(subscriber, FIRST)

        def trial() -> dict[str, Any] | None:
            shown = gym.client.get("/v1/models/gym/shadow").json()
            return shown if shown["clips"] else None

        shown = wait_for(trial, 60, "a clip that both judged")
        assert shown["by_stream"][0]["id"] == stream["id"]
        assert shown["agreement"] == 1.0, "it is the same network, less sure"
        assert shown["ready"] is False
        models = {track["model"] for message in subscriber.of_type("tracks") for track in message["tracks"]}
        assert models <= {*FIRST, None}
        metrics = gym.client.get("/metrics").text
        assert "actoscope_inference_shadow_clips_total" in metrics
    assert post(gym, "shadow", version=None).status_code == 200
    gym.client.delete(f"/v1/streams/{stream['id']}")


def promote_behind(service: Service, name: str) -> Future[httpx.Response]:
    return ThreadPoolExecutor(1).submit(post, service, "promote", 120, version=name, **FORCED)


def test_version_that_is_broken_or_whose_loading_is_killed_leaves_the_former_serving(
    gym: Service, weights: Path, tiny_weights: Path
):
    version(tiny_weights, weights, "gym@3", comment=b"third")
    version_of_nothing(weights, "gym@4")
    broken = post(gym, "promote", version="gym@4", **FORCED)
    assert broken.status_code == 503 and "gym goes on serving" in broken.json()["detail"]
    with gym.subscribe() as subscriber:
        stream = gym.add_stream(SAMPLE_URL, actions=LOW)
        labelled_by(subscriber, FIRST)
        asked = promote_behind(gym, "gym@3")
        wait_for(lambda: "loading model gym@3" in gym.log(), 30, "it is being loaded")
        (inference,) = gym.children("inference_process")
        inference.kill()
        assert asked.result(30).status_code == 503
        wait_for(lambda: gym.client.get("/readyz").status_code == 200, 90, "it loads what served before")
        labelled_by(subscriber, FIRST, len(subscriber.messages))
    gym.client.delete(f"/v1/streams/{stream['id']}")
    check_states(gym)


def check_states(service: Service) -> None:
    items = service.client.get("/v1/models/gym/versions").json()["items"]
    states = {each["version"]: each["state"] for each in items}
    assert (states["gym"], states.get("gym@3"), states.get("gym@4")) == ("serving", "refused", "refused")


@pytest.mark.exhaustive
def test_service_that_is_killed_while_it_loads_a_version_serves_the_former_after_its_start(
    gym: Service, weights: Path, tiny_weights: Path
):
    """The file that says which one serves is written after that: ``tests/service/promotion`` holds the order."""
    version(tiny_weights, weights, "gym@5", comment=b"fifth")
    asked = promote_behind(gym, "gym@5")
    wait_for(lambda: "loading model gym@5" in gym.log(), 60, "it is being loaded")
    gym.kill()
    with pytest.raises(httpx.TransportError):
        asked.result(30)
    gym.start()
    items = gym.client.get("/v1/models/gym/versions").json()["items"]
    assert {each["version"]: each["state"] for each in items}["gym"] == "serving"


def version_of_nothing(weights: Path, name: str) -> None:
    """Checksums are right, the network is none."""
    folder = weights / name
    shutil.copytree(weights / "gym", folder, dirs_exist_ok=True)
    (folder / "model.keras").write_bytes(b"no network")
    card = json.loads((folder / "card.json").read_text())
    card = {**card, "light": "", "sha256": {**card["sha256"], "model.keras": file_sha256(folder / "model.keras")}}
    (folder / "card.json").write_text(json.dumps(card))


@pytest.mark.parametrize("kept", [True, False], ids=["kept in memory", "loaded again"])
def test_scores_after_a_roll_back_are_those_of_before_to_the_bit(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
):
    monkeypatch.setattr("service.engine.load_detector", lambda config: None)
    monkeypatch.setattr("service.engine.load_encoder", lambda config: None)
    cache = tmp_path / "cache"
    CACHE.mkdir(parents=True, exist_ok=True)
    cache.symlink_to(CACHE)
    engine = InferenceEngine(EngineConfig(weights, cache, model="gym", runtime="openvino", threads=1))
    desk = NetworkDesk(engine, Planner(engine))
    crops = np.random.default_rng(4).integers(0, 256, (16, 64, 64, 3), np.uint8)
    clip = [Pictures(tuple(crops), 0)]

    def answer(network: str, track_id: int) -> bytes:
        return engine.classify(network, clip, [(1, track_id)]).tobytes()

    def load(serving: str, wanted: str) -> None:
        answers: list[NetworksLoaded] = []
        desk.load(LoadNetworks(1, (serving, ""), (wanted, "")), answers.append)
        wait_for(lambda: answers, 60, f"{wanted} is loaded")
        assert answers == [NetworksLoaded(1)]

    before = answer("gym", 1)
    load("gym", "gym@2")
    assert answer("gym@2", 2) != before
    engine.retire(["gym"])
    if not kept:
        engine.drop_retired()
        assert not engine.loaded("gym")
    begin = time.monotonic()
    load("gym@2", "gym")
    assert time.monotonic() - begin <= 5
    assert answer("gym", 3) == before
