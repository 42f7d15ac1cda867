"""Quality floors on real video: detector, encoder and tracker together on PETS09-S2L1.

The floors in ``benchmarks/floors.json`` lie slightly under the figures in ``benchmarks/tracking.py``.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pipeline.appearance import AppearanceConfig, AppearanceEncoder
from pipeline.detector import DetectorConfig, PersonDetector, resolve_person_weights
from pipeline.tracker import TrackerConfig
from tests.support.places import REPOSITORY, SHARED

OSNET = SHARED / "weights" / "osnet-x0_25" / "osnet_x0_25_msmt17.onnx"
YOLO11N = SHARED / "weights" / "yolo11n-coco" / "yolo11n-coco.pt"
FLOORS = json.loads((REPOSITORY / "benchmarks" / "floors.json").read_text())["tracking"]


def load_benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_tracking", REPOSITORY / "benchmarks" / "tracking.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


benchmark = load_benchmark()


def found_by(weights: Path | None, encoder: Path | None, folder: Path) -> tuple[list[object], object]:
    """Everything found in the video, and the ground truth. None: what ships (weights/person, MobileNetV2)."""
    truth, video = SHARED / "data" / "pets" / "gt_every10.txt", benchmark.pets_video(folder)
    for file in (weights, encoder, truth):
        if file is not None and not file.is_file():
            pytest.skip(f"{file.name} is not in ../shared")
    if video is None:
        pytest.skip("vtest.avi is neither in Debian's opencv-doc nor in ../shared/data/pets")
    config = DetectorConfig(cache_dir=folder, weights_dir=REPOSITORY / "weights", device="cpu")
    detector = PersonDetector.load(weights, config)
    appearance = AppearanceEncoder.load(encoder, AppearanceConfig(folder))
    return benchmark.record(video, detector, appearance), benchmark.read_truth(truth)


@pytest.fixture(scope="module", params=["mobilenetv2", "osnet"])
def setup(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[object], object]:
    """Name of the encoder, everything YOLO11n-coco found in the video, and the ground truth."""
    encoder = OSNET if request.param == "osnet" else None
    return request.param, *found_by(YOLO11N, encoder, tmp_path_factory.mktemp("pets"))


def check(name: str, recorded: list[object], truth: object, stride: int) -> None:
    reached = benchmark.score(benchmark.follow(recorded, TrackerConfig(), every=stride), truth)
    floors = FLOORS[f"{name}, stride {stride}"]
    assert reached.hota >= floors["hota"]
    assert reached.mota >= floors["mota"]
    assert reached.idf1 >= floors["idf1"]
    assert reached.id_switches <= floors["id_switches_max"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("stride", [1, 2])
def test_tracking_on_pets_stays_above_the_floors(setup: tuple[str, list[object], object], stride: int) -> None:
    check(*setup, stride)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_tracking_with_what_ships_stays_above_its_floors(tmp_path: Path) -> None:
    shipped = resolve_person_weights(REPOSITORY / "weights")
    assert shipped == REPOSITORY / "weights" / "person" / "person.pt"
    check("shipped", *found_by(None, None, tmp_path), 1)
