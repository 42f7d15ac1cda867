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
from pipeline.detector import DetectorConfig, PersonDetector
from pipeline.tracker import TrackerConfig

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"
OSNET = SHARED / "weights" / "osnet-x0_25" / "osnet_x0_25_msmt17.onnx"
FLOORS = json.loads((REPOSITORY / "benchmarks" / "floors.json").read_text())["tracking"]


def load_benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_tracking", REPOSITORY / "benchmarks" / "tracking.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


benchmark = load_benchmark()


@pytest.fixture(scope="module", params=["mobilenetv2", "osnet"])
def setup(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[object], object]:
    """Name of the encoder, everything found in the video, and the ground truth."""
    weights, truth = (
        SHARED / "weights" / "yolo11n-coco" / "yolo11n-coco.pt",
        SHARED / "data" / "pets" / "gt_every10.txt",
    )
    folder = tmp_path_factory.mktemp("pets")
    video = benchmark.pets_video(folder)
    if video is None or not weights.is_file() or not truth.is_file():
        pytest.skip("needs ../shared/weights/yolo11n-coco and ../shared/data/pets")
    if request.param == "osnet" and not OSNET.is_file():
        pytest.skip("needs ../shared/weights/osnet-x0_25")
    detector = PersonDetector.load(weights, DetectorConfig(cache_dir=folder, device="cpu"))
    encoder = AppearanceEncoder.load(OSNET if request.param == "osnet" else None, AppearanceConfig(folder))
    return request.param, benchmark.record(video, detector, encoder), benchmark.read_truth(truth)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("stride", [1, 2])
def test_tracking_on_pets_stays_above_the_floors(setup: tuple[str, list[object], object], stride: int) -> None:
    name, recorded, truth = setup
    reached = benchmark.score(benchmark.follow(recorded, TrackerConfig(), every=stride), truth)
    floors = FLOORS[f"{name}, stride {stride}"]
    assert reached.hota >= floors["hota"]
    assert reached.mota >= floors["mota"]
    assert reached.idf1 >= floors["idf1"]
    assert reached.id_switches <= floors["id_switches_max"]
