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

from pipeline.appearance import AppearanceConfig, AppearanceEncoder, resolve_appearance
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


def found_by(weights: Path | None, encoders: dict[str, Path | None], folder: Path) -> tuple[dict[str, object], object]:
    """Everything found in the video with each appearance network, and the ground truth. None: what ships."""
    truth, video = SHARED / "data" / "pets" / "gt_every10.txt", benchmark.pets_video(folder)
    for file in (weights, truth, *encoders.values()):
        if file is not None and not file.is_file():
            pytest.skip(f"{file.name} is not in ../shared")
    if video is None:
        pytest.skip("vtest.avi is neither in Debian's opencv-doc nor in ../shared/data/pets")
    config = DetectorConfig(cache_dir=folder, weights_dir=REPOSITORY / "weights", device="cpu")
    detector = PersonDetector.load(weights, config)
    looks = {
        name: AppearanceEncoder.load(file, AppearanceConfig(folder, weights_dir=shipped(name)))
        for name, file in encoders.items()
    }
    return benchmark.record_looks(video, detector, looks), benchmark.read_truth(truth)


def shipped(name: str) -> Path | None:
    return REPOSITORY / "weights" if name == "shipped" else None


@pytest.fixture(scope="module")
def of_yolo11n(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], object]:
    """What YOLO11n-coco found, found once, and both networks' looks."""
    return found_by(YOLO11N, {"mobilenetv2": None, "osnet": OSNET}, tmp_path_factory.mktemp("pets"))


def check(name: str, recorded: object, truth: object, stride: int) -> None:
    reached = benchmark.score(benchmark.follow(recorded, TrackerConfig(), every=stride), truth)
    floors = FLOORS[f"{name}, stride {stride}"]
    assert reached.hota >= floors["hota"]
    assert reached.mota >= floors["mota"]
    assert reached.idf1 >= floors["idf1"]
    assert reached.id_switches <= floors["id_switches_max"]


@pytest.mark.exhaustive  # networks that do not ship
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["mobilenetv2", "osnet"])
@pytest.mark.parametrize("stride", [1, 2])
def test_tracking_on_pets_stays_above_the_floors(
    of_yolo11n: tuple[dict[str, object], object], name: str, stride: int
) -> None:
    found, truth = of_yolo11n
    check(name, found[name], truth, stride)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_tracking_with_what_ships_stays_above_its_floors(tmp_path: Path) -> None:
    detector = resolve_person_weights(REPOSITORY / "weights")
    assert detector == REPOSITORY / "weights" / "person" / "person.pt"
    assert resolve_appearance(REPOSITORY / "weights") == REPOSITORY / "weights" / "appearance" / "appearance.xml"
    found, truth = found_by(None, {"shipped": None}, tmp_path)
    check("shipped", found["shipped"], truth, 1)
