"""Models that see whole scenes in the inference process: a real engine, server and client, a formula for a network."""

from __future__ import annotations

import numpy as np
import pytest

from models.classifier import ActionClassifier
from models.weights.cards import LABELS_FILE, MODEL_FILE, ModelCard, ModelInput
from pipeline.entities import Clip, Frame, Track, TrackState
from service.budget.tiered_clips import TieredClips
from service.configuration import EngineConfig
from service.counters import Measures
from service.engine import InferenceEngine, Pictures
from service.offline.local_inference import LocalInference
from service.processes.inference_client import InferenceClient
from service.processes.inference_messages import Hello
from service.processes.inference_process import InferenceServer
from service.processes.messages import pack
from service.processes.transport import unix_address
from tests.support.service import collect, wait_for

INPUT = ModelInput(kind="scene", frames=9, height=32, width=48)
CONFIG = INPUT.clip_config(hop=4, provisional_from=6)


class MeanRunner:
    """Brightness of the scene, and how far right the person is: enough to tell clips and boxes apart."""

    description, preferred_batch, shares_clips = "numpy", 1, True

    def __init__(self):
        self.calls = []

    def __call__(self, clips, boxes=None):
        self.calls.append((len(clips), 0 if boxes is None else len(boxes)))
        light = np.broadcast_to(clips.mean(axis=(1, 2, 3, 4)) / 255, len(boxes))
        return np.stack([np.zeros(len(boxes)), light + boxes[:, 0]], axis=1).astype(np.float32)


def card(kind: str) -> ModelCard:
    return ModelCard(
        name="m",
        kind="action_transformer",
        num_classes=2,
        input=INPUT if kind == "scene" else ModelInput(frames=9, height=32, width=32),
        provenance="made by a test",
        licence="none",
        sha256={MODEL_FILE: "0" * 64, LABELS_FILE: "0" * 64},
        labels=("standing", "walking"),
    )


@pytest.fixture
def runner():
    return MeanRunner()


@pytest.fixture
def make_engine(monkeypatch, tmp_path, runner):
    def make(kind: str = "scene") -> InferenceEngine:
        classifier = ActionClassifier(card(kind), runner)
        monkeypatch.setattr("service.engine.load_detector", lambda config: None)
        monkeypatch.setattr("service.engine.AppearanceEncoder.load", lambda *_: None)
        monkeypatch.setattr("service.engine.ActionClassifier.load", lambda *_, **__: classifier)
        return InferenceEngine(EngineConfig(tmp_path, tmp_path, model="m"))

    return make


def clips_of(*lefts: float, light: int = 51) -> list[Clip]:
    """Complete clips of one scene of people who stand at ``lefts``, as the buffer makes them: one tuple for all."""
    buffer = TieredClips("m", CONFIG)
    tracks = [
        Track(number, np.array([left, 0, left + 10, 50], np.float32), TrackState.CONFIRMED, 0.9)
        for number, left in enumerate(lefts, 1)
    ]
    image = np.full((50, 100, 3), light, np.uint8)
    for index in range(12):
        clips = buffer.push(Frame(image, index, index / 25, 5.0 + index / 25, 0.0), tracks)
    assert all(clip.crops is clips[0].crops and not clip.provisional for clip in clips)
    return clips


def second(light: int, left: float) -> float:
    """The probability of the second label that ``MeanRunner`` gives."""
    return float(1 / (1 + np.exp(-(light / 255 + left / 100))))


def test_people_of_one_scene_go_through_the_network_together(make_engine, runner):
    engine = make_engine()
    clips = [*clips_of(0, 30, 60), *clips_of(10, light=255)]
    found = engine.classify("m", [Pictures.of(clip) for clip in clips], [(1, clip.track_id) for clip in clips])
    assert sorted(runner.calls) == [(1, 1), (1, 3)]
    found = found[:, 1].tolist()
    assert found == pytest.approx([second(51, 0), second(51, 30), second(51, 60), second(255, 10)], abs=1e-5)
    assert [clip.track_id for clip in clips] == [1, 2, 3, 1] and len(found) == 4, "a row a clip, in order"


def test_annotate_classifies_the_people_of_one_frame_together(make_engine, runner):
    inference = LocalInference(make_engine(), "m")
    for clip in clips_of(0, 30, 60):
        inference.submit(clip)
    assert [item.track_id for item in inference.take()] == [1, 2, 3]
    assert runner.calls == [(1, 3)]


@pytest.fixture
def connect(tmp_path):
    """→ (server, client) of an engine, connected; closed at the end."""
    opened: list[InferenceServer | InferenceClient] = []

    def connect(engine: InferenceEngine) -> tuple[InferenceServer, InferenceClient]:
        server = InferenceServer(engine, unix_address(tmp_path / "inference.sock"))
        client = InferenceClient(unix_address(tmp_path / "inference.sock"), Hello("str_1", "m"), Measures())
        opened.extend([client, server])
        return server, client

    yield connect
    for each in opened:
        each.close()


def test_pictures_of_a_scene_cross_the_process_border_once(make_engine, runner, connect, monkeypatch):
    server, client = connect(make_engine())
    sent = []
    answer_of = InferenceClient._answer

    def noted(self, clip):
        sent.append(answer_of(self, clip))
        return sent[-1]

    monkeypatch.setattr(InferenceClient, "_answer", noted)
    for clip in clips_of(0, 30, 60):
        client.submit(clip)  # before the worker runs, so that all three wait
    server.start(pytest.fail)
    got = collect(client.take, 3, 10, "all three tracks are scored")
    assert [sorted(pack(answer).arrays) for answer in sent] == [["0", "1"], ["0"], ["0"]]
    assert [answer.crops is not None for answer in sent] == [True, False, False]
    assert all(answer.box is not None for answer in sent)
    found = {item.track_id: item.probabilities[1] for item in got}
    assert found == pytest.approx({1: second(51, 0), 2: second(51, 30), 3: second(51, 60)}, abs=1e-5)
    (newer,) = clips_of(20, light=255)
    client.submit(newer)
    (item,) = wait_for(client.take, 10, "the next scene is scored")
    assert item.probabilities[1] == pytest.approx(second(255, 20), abs=1e-5)
    assert sent[-1].crops is not None and sent[-1].box is not None


@pytest.mark.parametrize("kind", ["scene", "crops"])
def test_clips_that_the_model_was_not_made_for_are_the_streams_problem_only(make_engine, connect, kind):
    """The stream began with another card than the worker loaded: crops for a model of scenes, and the reverse."""
    server, client = connect(make_engine(kind))
    server.start(pytest.fail)  # the worker's thread must not end
    wait_for(lambda: client.connected, 5, "connected")
    (scene,) = clips_of(0)
    crops = Clip(1, tuple(np.zeros((32, 32, 3), np.uint8) for _ in range(9)), 0.0, 1.0, 5.0, 0.0, 9, model="m")
    client.submit(crops if kind == "scene" else scene)
    problem = wait_for(lambda: client.problem, 10, "a problem")
    assert "cannot read this stream's clips" in problem
    assert client.take() == []
    client._patient = True
    client.finish()  # does not wait for scores that never come
    if kind == "scene":
        client.submit(scene)
        assert wait_for(client.take, 10, "a good clip is still scored")[0].track_id == 1


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (None, r"sees whole scenes: it needs boxes float32 \(2, 4\), got none"),
        (np.zeros((3, 4), np.float32), r"boxes must be float32 \(2, 4\), got float32 \(3, 4\)"),
        (np.zeros((2, 4), np.float64), "got float64"),
        (np.full((2, 4), 1.5, np.float32), r"within 0\.\.1"),
        (np.full((2, 4), np.nan, np.float32), r"within 0\.\.1"),
    ],
)
def test_classifier_of_scenes_says_what_is_wrong_with_its_boxes(runner, boxes, message):
    clips = np.zeros((2, 9, 32, 48, 3), np.uint8)
    with pytest.raises(ValueError, match=message):
        ActionClassifier(card("scene"), runner).predict(clips, boxes)


def test_classifier_of_crops_takes_no_boxes(runner):
    with pytest.raises(ValueError, match=r"reads crops of people: it takes no boxes, got \(1, 4\)"):
        ActionClassifier(card("crops"), runner).predict(
            np.zeros((1, 9, 32, 32, 3), np.uint8), np.zeros((1, 4), np.float32)
        )


def test_runner_that_cannot_share_gets_a_clip_a_person(runner):
    runner.shares_clips = False
    clips = np.full((1, 9, 32, 48, 3), 51, np.uint8)
    boxes = np.array([[0.1, 0, 0.5, 1], [0.3, 0, 0.5, 1]], np.float32)
    found = ActionClassifier(card("scene"), runner).predict(clips, boxes)
    assert runner.calls == [(2, 2)]
    assert found[:, 1] == pytest.approx([second(51, 10), second(51, 30)], abs=1e-5)
