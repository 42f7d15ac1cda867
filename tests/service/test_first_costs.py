"""What work costs on a host that nothing is known of: measured once, before the first stream, and kept."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.entities import Detections
from service.budget.budget import FEATURE_WORK, clip_work, detect_work
from service.configuration import EngineConfig
from service.engine import InferenceEngine
from service.processes.inference_process import InferenceServer
from service.processes.planner import Planner
from service.processes.transport import unix_address


class Counted:
    """Detector, appearance network and classifiers in one; notes what was run on what."""

    description, runtime, stems, sees_scenes, clip_shape = "counted", "counted", None, False, (4, 8, 8, 3)

    def __init__(self) -> None:
        self.ran: list[tuple[str, tuple[int, ...]]] = []

    def detect(self, images: list[np.ndarray], image_size: int) -> list[Detections]:
        self.ran.append(("detect", images[0].shape))
        return [Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32)) for _ in images]

    dimension = 2

    def encode(self, image: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
        self.ran.append(("encode", boxes_xyxy.shape))
        return np.zeros((len(boxes_xyxy), 2), np.float32)

    def predict(self, clips: np.ndarray) -> np.ndarray:
        self.ran.append(("predict", clips.shape))
        return np.zeros((len(clips), 2), np.float32)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    made = Counted()
    for part in ("load_detector", "load_encoder"):
        monkeypatch.setattr(f"service.engine.{part}", lambda config: made)
    monkeypatch.setattr("service.engine.load_classifier", lambda config, name: made)
    return made


def engine(folder: Path, light: str) -> InferenceEngine:
    """``light``: the network that is loaded first in the place of the full one; "": there is none."""
    made = InferenceEngine(EngineConfig(folder, folder / "cache", model="full", threads=1, stem_memory_mb=0))
    if light:
        made._first = lambda: light  # type: ignore[method-assign]  # else read from the cards of both
    return made


def test_first_start_measures_what_the_first_labels_are_made_of(counted: Counted, tmp_path: Path):
    started = engine(tmp_path, "light")
    Planner(started).measure_first()
    assert set(started.costs.known()) == {detect_work(640), FEATURE_WORK, clip_work("light")}
    warm_up = ("detect", (360, 640, 3))
    assert counted.ran == [warm_up, warm_up, ("encode", (1, 4)), ("predict", (1, 4, 8, 8, 3))]
    assert all(cost.count == 1 for cost in started.costs.known().values()), "real work soon outweighs it"


def test_later_start_knows_and_runs_nothing(counted: Counted, tmp_path: Path):
    Planner(engine(tmp_path, "light")).measure_first()
    counted.ran.clear()
    again = engine(tmp_path, "light")
    Planner(again).measure_first()
    assert counted.ran == []
    assert clip_work("light") in again.costs.known()


def test_only_what_is_not_known_is_measured(counted: Counted, tmp_path: Path):
    first = engine(tmp_path, "")
    Planner(first).measure_first()
    assert set(first.costs.known()) == {detect_work(640), FEATURE_WORK}, "a full network may take seconds"
    counted.ran.clear()
    Planner(engine(tmp_path, "light")).measure_first()
    assert [what for what, _ in counted.ran] == ["predict"]


def test_lighter_network_of_another_model_is_measured_before_its_stream_is_planned(counted: Counted, tmp_path: Path):
    started = engine(tmp_path, "light")
    server = InferenceServer(started, unix_address(tmp_path / "inference.sock"))
    counted.labels = ("standing", "walking")  # type: ignore[attr-defined]
    sent: list[object] = []
    connection = SimpleNamespace(channel=SimpleNamespace(send=sent.append), number=1)
    server._greet(connection, "home", "home-light")  # type: ignore[arg-type]
    server._greet(connection, "alone", "")  # type: ignore[arg-type]
    server.close()
    assert set(started.costs.known()) == {clip_work("home-light")}
    assert len(sent) == 2


def test_detection_that_prepares_a_shape_is_no_cost(counted: Counted, tmp_path: Path):
    started = engine(tmp_path, "")
    nobody = np.zeros((0, 4), np.float32)
    picture, other = np.zeros((576, 768, 3), np.uint8), np.zeros((720, 1280, 3), np.uint8)
    for images in ([picture], [other], [picture, other]):
        started.detect(images, [nobody] * len(images))
    assert started.costs.of(detect_work(640)) is None
    started.detect([other, picture], [nobody] * 2)
    assert started.costs.known()[detect_work(640)].count == 1
    started.detect([picture], [nobody], 320)
    assert started.costs.of(detect_work(320)) is None
