"""Overlapping clips in the inference process: a real engine, server and client around a small network in numpy."""

import numpy as np
import pytest

from models.classifier import ActionClassifier
from models.runtimes.overlap import StemReuse
from models.weights.cards import LABELS_FILE, MODEL_FILE, ModelCard, ModelInput
from pipeline.entities import Clip
from service.configuration import EngineConfig
from service.counters import Measures
from service.engine import InferenceEngine, Pictures
from service.offline.local_inference import LocalInference
from service.processes.inference_client import InferenceClient
from service.processes.inference_messages import Hello
from service.processes.inference_process import InferenceServer
from service.processes.transport import unix_address
from service.prometheus import CounterKeeper, exposition
from tests.support.service import wait_for

FRAMES, SIZE = 32, 32
VIDEO = np.random.default_rng(4).integers(0, 256, (120, SIZE, SIZE, 3), np.uint8)


class BrightnessParts:
    """Step t sums the brightness of the crops 2t-4 … 2t+6, dark outside the clip; the rest weighs the steps."""

    description, frames, time_axis, shifts = "numpy", FRAMES, 1, (8, 16)
    clip_bytes = FRAMES // 2 * 8

    def _steps(self, crops, first, last):
        light = np.pad(crops[0].mean(axis=(1, 2, 3)), (4, 6))
        return np.array([[light[2 * step : 2 * step + 11].sum() for step in range(first, last)]])

    def whole(self, clip):
        return self._steps(clip, 0, FRAMES // 2)

    def head(self, crops):
        return self._steps(crops, 0, 2)

    def tail(self, crops, shift):
        return self._steps(crops, 2, 5 + shift // 2)

    def rest(self, features):
        weights = np.linspace(-1, 1, FRAMES // 2)
        return np.array([[float(features[0] @ weights) / 1000, 0.0]], np.float32)


class BrightnessRunner:
    """The same network as a runtime would load it."""

    description, preferred_batch = "numpy", 1

    def __init__(self):
        self._parts = BrightnessParts()

    def __call__(self, clips, boxes=None):
        return np.concatenate([self._parts.rest(self._parts.whole(clip[None])) for clip in clips])

    def overlapping(self, memory_bytes):
        return StemReuse(BrightnessParts(), memory_bytes)


def load_classifier(*_, **__):
    card = ModelCard(
        name="bright",
        kind="se_i3d",
        num_classes=2,
        input=ModelInput(frames=FRAMES, height=SIZE, width=SIZE),
        provenance="made by a test",
        licence="none",
        sha256={MODEL_FILE: "0" * 64, LABELS_FILE: "0" * 64},
        labels=("bright", "dark"),
    )
    return ActionClassifier(card, BrightnessRunner())


@pytest.fixture
def make_engine(monkeypatch, tmp_path):
    monkeypatch.setattr("service.engine.load_detector", lambda config: None)
    monkeypatch.setattr("service.engine.AppearanceEncoder.load", lambda *_: None)
    monkeypatch.setattr("service.engine.ActionClassifier.load", load_classifier)
    return lambda **fields: InferenceEngine(EngineConfig(tmp_path, tmp_path, model="bright", **fields))


def clip(first: int, track_id: int = 1, filled: int = FRAMES) -> Clip:
    crops = tuple(VIDEO[first : first + FRAMES])
    return Clip(track_id, crops, 0.0, 1.0, 5.0, 0.0, filled, filled < FRAMES, first, model="bright")


def seen(*clips: Clip) -> list[Pictures]:
    return [Pictures.of(each) for each in clips]


def expected(*firsts: int) -> list[float]:
    clips = np.stack([VIDEO[first : first + FRAMES] for first in firsts])
    return load_classifier().predict(clips)[:, 0].tolist()


def steps(measures: Measures) -> tuple[float, float]:
    """(reused, computed)."""
    return measures.value("stem_steps_reused_total"), measures.value("stem_steps_computed_total")


def test_classify_reuses_the_last_clip_of_the_same_track_and_scores_alike(make_engine):
    engine = make_engine()
    for first in (0, 8, 24):
        (row,) = engine.classify("bright", seen(clip(first)), [(1, 1)])
        assert row[0] == pytest.approx(expected(first)[0], abs=1e-6)
    assert steps(engine.measures) == (7 + 3, 16 + 9 + 13)
    both = engine.classify("bright", seen(clip(32), clip(32, 2)), [(1, 1), (1, 2)])
    assert both[:, 0].tolist() == pytest.approx(expected(32, 32), abs=1e-6)
    assert steps(engine.measures)[0] == 7 + 3 + 7, "the second track is new"
    assert engine.measures.value("stem_tracks") == 2
    assert engine.measures.value("stem_memory_bytes") == 2 * BrightnessParts.clip_bytes


def test_provisional_clip_is_computed_whole_and_not_kept(make_engine):
    engine = make_engine()
    for first in (0, 8):
        engine.classify("bright", seen(clip(first, filled=20)), [(1, 1)])
    assert steps(engine.measures) == (0, 32)
    assert engine.measures.value("stem_tracks") == 0


def test_without_memory_for_stems_every_clip_is_computed_whole(make_engine):
    engine = make_engine(stem_memory_mb=0)
    for first in (0, 8):
        (row,) = engine.classify("bright", seen(clip(first)), [(1, 1)])
    assert row[0] == pytest.approx(expected(8)[0], abs=1e-6)
    assert "stem_steps_reused_total" not in engine.measures.snapshot()["counters"]


def test_runtime_that_cannot_reuse_is_logged_and_used_as_it_is(make_engine, monkeypatch, caplog):
    monkeypatch.delattr(BrightnessRunner, "overlapping")
    caplog.set_level("INFO")
    engine = make_engine()
    assert "model bright computes every clip whole: numpy cannot" in caplog.text
    (row,) = engine.classify("bright", seen(clip(8)), [(1, 1)])
    assert row[0] == pytest.approx(expected(8)[0], abs=1e-6)


def test_annotating_reuses_too(make_engine):
    engine = make_engine()
    inference = LocalInference(engine, "bright")
    for first in (0, 16):
        inference.submit(clip(first))
        (scores,) = inference.take()
    assert scores.probabilities[0] == pytest.approx(expected(16)[0], abs=1e-6)
    assert steps(engine.measures) == (3, 16 + 13)


def test_stream_reuses_and_its_tracks_are_forgotten_over_the_socket(make_engine, tmp_path):
    engine = make_engine()
    server = InferenceServer(engine, unix_address(tmp_path / "inference.sock"))
    server.start(pytest.fail)
    client = InferenceClient(unix_address(tmp_path / "inference.sock"), Hello("str_1", "bright"), Measures())
    wait_for(lambda: client.connected, 5, "the client is connected")
    for first, track in ((0, 1), (8, 1), (8, 2)):
        client.submit(clip(first, track))
        (scores,) = wait_for(client.take, 5, "scores")
        assert scores.probabilities[0] == pytest.approx(expected(first)[0], abs=1e-6)
    assert steps(engine.measures) == (7, 16 + 9 + 16)
    client.forget(1)
    stems = engine.classifier("bright").stems
    wait_for(lambda: stems.stats().tracks == 1, 5, "the track is forgotten")
    client.close()
    wait_for(lambda: stems.stats().tracks == 0, 5, "the stream is forgotten")
    server.close()


def test_metrics_tell_of_stems(make_engine):
    engine = make_engine()
    for first in (0, 8):
        engine.classify("bright", seen(clip(first)), [(1, 1)])
    text = exposition([("inference_", {}, engine.measures.snapshot(), CounterKeeper())]).decode()
    assert "actoscope_inference_stem_steps_reused_total 7.0" in text
    assert "actoscope_inference_stem_steps_computed_total 25.0" in text
    assert "actoscope_inference_stem_evictions_total 0.0" in text
    assert "# HELP actoscope_inference_stem_memory_bytes What these features take" in text
