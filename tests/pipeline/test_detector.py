"""The detector on real frames: people found, formats loaded, exports cached whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import openvino
import pytest

from pipeline import detector
from pipeline import openvino as cpu
from pipeline.detector import (
    DetectorConfig,
    PersonDetector,
    exported,
    read_network,
    resolve_person_weights,
    shipped_conversion,
)
from pipeline.entities import Image
from pipeline.errors import DetectorError
from pipeline.files import file_sha256
from pipeline.geometry import pairwise_iou
from pipeline.letterbox import letterbox, suppress
from pipeline.openvino import run_statement
from tests.support.places import REPOSITORY, SHARED

WEIGHTS = SHARED / "weights" / "yolo11n-coco" / "yolo11n-coco.pt"
SHIPPED = REPOSITORY / "weights"
VIDEO = SHARED / "data" / "pets" / "vtest.avi"
PEOPLE_IN_FIRST_FRAME = np.array(  # MOTChallenge ground truth of PETS09-S2L1, frame 1
    [[499, 158, 530.03, 233.17], [258, 219, 290.9, 307.7], [633, 242, 675.3, 323.1]], np.float32
)


@pytest.fixture(scope="module", autouse=True)
def _one_precision() -> Iterator[None]:
    """float32 everywhere: which precision is faster here is measured at each load, and boxes differ by it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu, "precision_candidates", lambda _: ("f32",))
        yield


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def image() -> Image:
    if not VIDEO.is_file():
        pytest.skip("../shared/data/pets/vtest.avi is not here")
    capture = cv2.VideoCapture(str(VIDEO))
    _, bgr = capture.read()
    capture.release()
    return np.ascontiguousarray(bgr[..., ::-1])


@pytest.fixture(scope="module")
def loaded(cache_dir: Path) -> PersonDetector:
    if not WEIGHTS.is_file():
        pytest.skip("../shared/weights/yolo11n-coco is not here")
    return PersonDetector.load(WEIGHTS, DetectorConfig(cache_dir=cache_dir, device="cpu"))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> PersonDetector:
    cache = tmp_path_factory.mktemp("empty")
    return PersonDetector.load(None, DetectorConfig(cache_dir=cache, weights_dir=SHIPPED, device="cpu"))


def exported_folder(cache_dir: Path) -> Path:
    return next(path for path in (cache_dir / "openvino").iterdir() if path.is_dir())


def test_detect_pets_frame_finds_the_three_people(loaded: PersonDetector, image: Image) -> None:
    found = loaded.detect([image])[0]
    sure = found.boxes_xyxy[found.confidences > 0.5]
    assert len(sure) == 3
    assert (pairwise_iou(PEOPLE_IN_FIRST_FRAME, sure).max(axis=1) > 0.5).all()
    assert found.features is None
    assert found.boxes_xyxy.dtype == found.confidences.dtype == np.float32
    assert (np.diff(found.confidences) <= 0).all()


def test_detect_batch_of_different_sizes_answers_in_order(loaded: PersonDetector, image: Image) -> None:
    wide = np.pad(image, ((0, 0), (0, 400), (0, 0)))
    empty = np.zeros((300, 200, 3), np.uint8)
    found = loaded.detect([image, empty, wide, image])
    assert len(found[1]) == 0
    np.testing.assert_allclose(found[0].boxes_xyxy, found[3].boxes_xyxy, atol=0.5)
    strong = found[2].boxes_xyxy[found[2].confidences > 0.5]
    assert (pairwise_iou(PEOPLE_IN_FIRST_FRAME, strong).max(axis=1) > 0.5).all()


def test_detect_colours_are_rgb(loaded: PersonDetector, image: Image) -> None:
    """Swapped channels must change the scores, else the adapter would be ignoring or double-swapping them."""
    right, wrong = loaded.detect([image, np.ascontiguousarray(image[..., ::-1])])
    assert right.confidences[:3].sum() != pytest.approx(wrong.confidences[:3].sum(), abs=1e-3)


@pytest.mark.parametrize("size", [480, 320])
def test_detect_at_another_size_is_as_if_loaded_for_it(
    shipped: PersonDetector, image: Image, tmp_path: Path, size: int
) -> None:
    """Also within a batch, and the next call is at the configured size again."""
    small = DetectorConfig(image_size=size, cache_dir=tmp_path, weights_dir=SHIPPED, device="cpu")
    (expected,) = PersonDetector.load(None, small).detect([image])
    (before,) = shipped.detect([image])
    answers = shipped.detect([image, image[:300]], size)
    (after,) = shipped.detect([image])
    np.testing.assert_allclose(answers[0].boxes_xyxy, expected.boxes_xyxy, atol=0.05)
    np.testing.assert_array_equal(after.boxes_xyxy, before.boxes_xyxy)
    assert not np.isin(answers[0].confidences, before.confidences).any()


def test_detect_at_another_size_leaves_a_fixed_network_as_it_is(
    shipped: PersonDetector, image: Image, tmp_path: Path
) -> None:
    model, _ = read_network(SHIPPED / "person" / "person.xml")
    model.reshape([1, 3, 480, 640])
    openvino.save_model(model, tmp_path / "fixed.xml")
    fixed = PersonDetector.load(tmp_path / "fixed.xml", DetectorConfig(cache_dir=tmp_path, device="cpu"))
    (at_320,) = fixed.detect([image], 320)
    np.testing.assert_allclose(at_320.boxes_xyxy, shipped.detect([image])[0].boxes_xyxy, atol=0.05)


@pytest.mark.parametrize("size", [0, 32, 333])
def test_detect_at_an_impossible_size_is_refused(shipped: PersonDetector, size: int) -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        shipped.detect([np.zeros((100, 100, 3), np.uint8)], size)


def test_detect_nothing_answers_nothing(loaded: PersonDetector) -> None:
    assert loaded.detect([]) == []


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_detect_wrong_array_is_refused(loaded: PersonDetector, wrong: Image) -> None:
    with pytest.raises(ValueError, match="uint8"):
        loaded.detect([wrong])


def test_detect_limits_are_kept(loaded: PersonDetector, image: Image, cache_dir: Path) -> None:
    strict = PersonDetector.load(
        WEIGHTS, DetectorConfig(confidence=0.5, max_detections=2, cache_dir=cache_dir, device="cpu")
    )
    found = strict.detect([image])[0]
    assert len(found) == 2
    assert found.confidences.min() > 0.5


def test_load_export_is_made_once_and_openvino_folder_loads_too(
    loaded: PersonDetector, image: Image, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_second_export(*_: str, **__: object) -> None:
        raise AssertionError("exported again")

    monkeypatch.setattr(detector, "run_statement", no_second_export)
    again = PersonDetector.load(WEIGHTS, DetectorConfig(cache_dir=cache_dir, device="cpu"))
    folder = PersonDetector.load(exported_folder(cache_dir), DetectorConfig(cache_dir=cache_dir, device="cpu"))
    expected = loaded.detect([image])[0]
    for other in (again, folder):
        np.testing.assert_allclose(other.detect([image])[0].boxes_xyxy, expected.boxes_xyxy, atol=0.5)
    assert "OpenVINO" in again.description
    assert "640" in again.description


def test_load_takes_the_conversion_that_ships(image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_export(*_: str, **__: object) -> None:
        raise AssertionError("exported although the conversion is there")

    monkeypatch.setattr(detector, "run_statement", no_export)
    found = PersonDetector.load(None, DetectorConfig(cache_dir=tmp_path, weights_dir=SHIPPED, device="cpu"))
    assert found.description.startswith("person OpenVINO")
    (people,) = found.detect([image])
    assert (pairwise_iou(PEOPLE_IN_FIRST_FRAME, people.boxes_xyxy[people.confidences > 0.5]).max(axis=1) > 0.5).all()


@pytest.mark.exhaustive
@pytest.mark.slow
def test_shipped_conversion_answers_as_an_export_does(shipped: PersonDetector, image: Image, tmp_path: Path) -> None:
    """Its weights are float16, so boxes may move by hundredths of a pixel."""
    config = DetectorConfig(cache_dir=tmp_path, device="cpu")
    fresh = PersonDetector.load(exported(SHIPPED / "person" / "person.pt", config), config)
    (expected,), (found,) = fresh.detect([image]), shipped.detect([image])
    sure = expected.confidences > 0.11  # others may be on the other side of the threshold
    np.testing.assert_allclose(found.boxes_xyxy[: sure.sum()], expected.boxes_xyxy[sure], atol=0.5)
    np.testing.assert_allclose(found.confidences[: sure.sum()], expected.confidences[sure], atol=0.01)


def weights_folder(folder: Path) -> Path:
    """A network with a conversion and a card that names all three → the network."""
    for name in ("person.pt", "person.xml", "person.bin"):
        (folder / name).write_text(name)
    sums = {file.name: file_sha256(file) for file in folder.iterdir()}
    (folder / "card.json").write_text(json.dumps({"sha256": sums}))
    return folder / "person.pt"


def test_shipped_conversion_is_the_one_that_the_card_names(tmp_path: Path) -> None:
    assert shipped_conversion(weights_folder(tmp_path)) == tmp_path / "person.xml"


@pytest.mark.parametrize("name", ["person.pt", "person.xml", "person.bin", "card.json"])
@pytest.mark.parametrize("content", ["another", None])
def test_shipped_conversion_of_another_network_or_half_there_is_not_taken(
    tmp_path: Path, name: str, content: str | None
) -> None:
    network = weights_folder(tmp_path)
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_text(content)
    assert shipped_conversion(network) is None


@pytest.mark.parametrize("card", ["{}", "[]", '{"sha256": null}', '{"sha256": {"person.pt": "0"}}'])
def test_shipped_conversion_without_a_word_of_it_in_the_card_is_not_taken(tmp_path: Path, card: str) -> None:
    network = weights_folder(tmp_path)
    (tmp_path / "card.json").write_text(card)
    assert shipped_conversion(network) is None


def test_load_leaves_only_whole_exports_and_its_own_settings(loaded: PersonDetector, cache_dir: Path) -> None:
    assert loaded.description.startswith("yolo11n-coco OpenVINO")
    entries = [path.name for path in (cache_dir / "openvino").iterdir() if path.is_dir()]
    assert len(entries) == 1
    assert not entries[0].startswith(".")
    assert sorted(path.suffix for path in exported_folder(cache_dir).iterdir()) == [".bin", ".xml", ".yaml"]


@pytest.mark.exhaustive
def test_detector_process_does_not_carry_torch(loaded: PersonDetector, cache_dir: Path) -> None:
    """The inference process must start fast and stay small: torch lives in the exporting process only."""
    statement = (
        "import sys; from pathlib import Path; from pipeline.detector import *; "
        "PersonDetector.load(Path(sys.argv[1]), DetectorConfig(cache_dir=Path(sys.argv[2]), device='cpu')); "
        "sys.exit(1 if {'torch', 'ultralytics'} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", statement, str(WEIGHTS), str(cache_dir)], cwd=REPOSITORY, check=False)
    assert done.returncode == 0


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [True, False])
def test_load_onnx_agrees_with_openvino(loaded: PersonDetector, image: Image, tmp_path: Path, dynamic: bool) -> None:
    copy = tmp_path / "network.pt"
    shutil.copyfile(WEIGHTS, copy)
    statement = (
        "import sys; from ultralytics import YOLO; "
        "YOLO(sys.argv[1]).export(format='onnx', imgsz=640, dynamic=sys.argv[2] == 'True', simplify=False)"
    )
    settings = DetectorConfig(cache_dir=tmp_path, device="cpu")
    run_statement(
        statement,
        str(copy),
        str(dynamic),
        environment={"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(tmp_path)},
    )
    onnx = PersonDetector.load(tmp_path / "network.onnx", settings)
    found = onnx.detect([image, image])
    sure = found[1].boxes_xyxy[found[1].confidences > 0.5]
    reference = loaded.detect([image])[0]
    assert (pairwise_iou(reference.boxes_xyxy[:3], sure).max(axis=1) > 0.9).all()


@pytest.mark.exhaustive
@pytest.mark.slow
def test_ultralytics_backend_agrees_with_openvino(loaded: PersonDetector, image: Image, tmp_path: Path) -> None:
    """What a GPU runs (here torch on the CPU), in a process of its own since it imports torch."""
    statement = (
        "import sys; from pathlib import Path; import numpy as np; from pipeline.detector import *; "
        "from pipeline.detector import _UltralyticsBackend; "
        "config = DetectorConfig(cache_dir=Path(sys.argv[4])); "
        "backend = _UltralyticsBackend(Path(sys.argv[1]), config, 'cpu'); "
        "image = np.load(sys.argv[2]); small = np.zeros((100, 200, 3), np.uint8); "
        "found = PersonDetector(backend, config, 'net').detect([small, image]); "
        "np.save(sys.argv[3], found[1].boxes_xyxy[:3]); "
        "np.save(sys.argv[5], PersonDetector(backend, config, 'net').detect([image], 416)[0].boxes_xyxy[:3]); "
        "sys.exit(len(found[0]))"
    )
    np.save(tmp_path / "image.npy", image)
    paths = [str(tmp_path / name) for name in ("image.npy", "boxes.npy", "cache", "boxes-416.npy")]
    run_statement(statement, str(WEIGHTS), *paths)
    boxes = np.load(tmp_path / "boxes.npy")
    assert (pairwise_iou(loaded.detect([image])[0].boxes_xyxy[:3], boxes).max(axis=1) > 0.9).all()
    smaller = np.load(tmp_path / "boxes-416.npy")
    assert (pairwise_iou(loaded.detect([image], 416)[0].boxes_xyxy[:3], smaller).max(axis=1) > 0.9).all()
    assert np.abs(smaller - boxes).max() > 0.01


def test_load_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match="no detector at"):
        PersonDetector.load(tmp_path / "none.pt", DetectorConfig(cache_dir=tmp_path))


def test_load_unknown_kind_says_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "network.zip").write_bytes(b"PK")
    with pytest.raises(DetectorError, match=r"expected a \.pt, \.onnx, \.engine"):
        PersonDetector.load(tmp_path / "network.zip", DetectorConfig(cache_dir=tmp_path))


@pytest.mark.parametrize("name", ["broken.onnx", "broken.pt"])
def test_load_broken_file_is_a_detector_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not a network")
    with pytest.raises(DetectorError):
        PersonDetector.load(tmp_path / name, DetectorConfig(cache_dir=tmp_path / "cache", device="cpu"))
    left = list((tmp_path / "cache" / "openvino").iterdir()) if (tmp_path / "cache" / "openvino").is_dir() else []
    assert left == []


def test_load_engine_without_gpu_names_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "network.engine").write_bytes(b"x")
    with pytest.raises(DetectorError, match=r"use the \.pt"):
        PersonDetector.load(tmp_path / "network.engine", DetectorConfig(cache_dir=tmp_path, device="cpu"))


def test_load_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=r"no OpenVINO \.xml"):
        PersonDetector.load(tmp_path, DetectorConfig(cache_dir=tmp_path))


def test_resolve_own_weights_come_first(tmp_path: Path) -> None:
    (tmp_path / "person").mkdir()
    own = tmp_path / "person" / "person.pt"
    own.write_bytes(b"x")
    assert resolve_person_weights(tmp_path) == own


def test_resolve_without_own_weights_is_a_name_to_download(tmp_path: Path) -> None:
    beside = tmp_path / "shared" / "weights" / "yolo11n-coco" / "yolo11n-coco.pt"  # nothing outside is looked at
    beside.parent.mkdir(parents=True)
    beside.write_bytes(b"x")
    assert resolve_person_weights(tmp_path / "repository" / "weights") == "yolo26n.pt"
    assert resolve_person_weights(None) == "yolo26n.pt"


def test_default_weights_are_downloaded_once_into_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def fetch(_: str, target: str, environment: dict[str, str]) -> None:
        assert environment["YOLO_OFFLINE"] == "false"
        calls.append(target)
        Path(target).write_bytes(b"x")

    monkeypatch.setattr(detector, "run_statement", fetch)
    config = DetectorConfig(cache_dir=tmp_path)
    first, second = (detector._download("yolo26n.pt", config) for _ in range(2))
    assert first == second == tmp_path / "ultralytics" / "yolo26n.pt"
    assert len(calls) == 1


@pytest.mark.parametrize("size_hw", [(576, 768), (1080, 1920), (640, 480), (33, 2000), (640, 640)])
def test_letterbox_round_trip_restores_boxes(size_hw: tuple[int, int]) -> None:
    boxed = letterbox(np.full((*size_hw, 3), 7, np.uint8), 640, 32)
    assert max(boxed.pixels.shape[:2]) == 640
    assert all(side % 32 == 0 for side in boxed.pixels.shape[:2])
    inner = np.argwhere(boxed.pixels[..., 0] == 7)
    top, left = inner.min(axis=0)
    bottom, right = inner.max(axis=0) + 1
    restored = boxed.to_image(np.array([[left, top, right, bottom, 0.9]], np.float32))[0]
    np.testing.assert_allclose(restored[:4], [0, 0, size_hw[1], size_hw[0]], atol=2.5)
    assert restored[4] == np.float32(0.9)


def test_suppress_keeps_the_best_of_an_overlapping_pair() -> None:
    rows = np.array([[0, 0, 10, 10, 0.5], [0, 0, 10, 9, 0.9], [50, 50, 60, 60, 0.3]], np.float32)
    np.testing.assert_array_equal(suppress(rows, 0.7, 10), rows[[1, 2]])
    assert suppress(rows, 0.7, 1).shape == (1, 5)
    assert suppress(rows[:0], 0.7, 5).shape == (0, 5)


@pytest.mark.parametrize(
    ("names", "expected"), [({0: "person", 1: "car"}, 0), (["car", "Person"], 1), ({0: "fall"}, 0)]
)
def test_person_class_is_found_by_name(names: object, expected: int) -> None:
    assert detector._person_class(names) == expected


@pytest.mark.parametrize("names", [None, {}, {0: "cat", 1: "dog"}])
def test_person_class_missing_is_refused(names: object) -> None:
    with pytest.raises(DetectorError):
        detector._person_class(names)


def test_select_end_to_end_network_keeps_people_only(loaded: PersonDetector) -> None:
    """YOLO26 answers final rows (x1, y1, x2, y2, confidence, class) instead of scores for each anchor."""
    raw = np.array([[0, 0, 10, 20, 0.9, 0], [5, 5, 9, 9, 0.8, 2], [30, 0, 40, 20, 0.05, 0]], np.float32)
    np.testing.assert_array_equal(loaded._backend._select(raw), raw[:1, :5])  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrong", [{"image_size": 641}, {"confidence": 0.0}, {"iou": 1.0}, {"max_detections": 0}])
def test_config_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="got"):
        DetectorConfig(**wrong)  # type: ignore[arg-type]
