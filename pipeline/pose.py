"""Where people's joints are: a YOLO pose network in OpenVINO on the CPU, on whole pictures.

None is shipped: ultralytics' networks are AGPL-3.0 and nothing here fetches one. The operator names one (a ``.pt``, an
``.onnx`` or an OpenVINO folder as ultralytics exports it) or puts it into ``weights/pose``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.detector import DetectorConfig, exported, read_network, xml_in
from pipeline.entities import Floats, Image, Poses
from pipeline.errors import DetectorError
from pipeline.geometry import clip_to_image
from pipeline.letterbox import GREY, Letterboxed, best_of, letterbox
from pipeline.openvino import CpuNetwork, precision_notes, takes_uint8

KEYPOINTS = 17
_VALUES = KEYPOINTS * 3
HOW_TO_GET_ONE = (
    "expected a YOLO pose network with COCO's 17 keypoints: an .onnx, a .pt, or the folder that "
    "`yolo export model=yolov8n-pose.pt format=openvino` writes (ultralytics, AGPL-3.0). Name it in "
    "ACTOSCOPE_POSE_WEIGHTS or put it into weights/pose; none is shipped and none is downloaded"
)


@dataclass(frozen=True)
class PoseConfig:
    """``confidence``: bodies below it are left out. ``image_size``: for networks that leave it open."""

    image_size: int = 640
    confidence: float = 0.25
    iou: float = 0.7
    max_people: int = 20
    cache_dir: Path | None = None
    threads: int = 0


def find_pose_weights(named: Path | None, weights_dir: Path | None) -> Path:
    """→ the network that the operator named, else what lies in ``weights_dir/pose``. Raises DetectorError."""
    if named is not None:
        if named.exists():
            return named
        raise DetectorError(f"no pose network at {named}: {HOW_TO_GET_ONE}")
    folder = None if weights_dir is None else weights_dir / "pose"
    for pattern in ("*.xml", "*/*.xml", "*.onnx", "*.pt"):
        found = sorted(folder.glob(pattern)) if folder is not None else []
        if found:
            return found[0]
    raise DetectorError(f"there is no pose network: {HOW_TO_GET_ONE}")


class PoseNetwork:
    """Pictures in, bodies out. Call it from one thread."""

    def __init__(self, file: Path, config: PoseConfig) -> None:
        """``file``: ``.xml`` or ``.onnx``. Raises DetectorError for a network of another kind."""
        self._config = config
        model, _ = read_network(file)
        height, width = _fixed_hw(model) or (config.image_size, config.image_size)
        self._fixed_hw = _fixed_hw(model)
        sample = np.full((1, height, width, 3), GREY, np.uint8)
        ready = takes_uint8(model, mean=(0, 0, 0), scale=(255, 255, 255))
        self._network = CpuNetwork(ready, sample, config.threads, precision_notes(config.cache_dir, file))
        _check_output(self._network(sample)[0][0], file)
        self.description = f"{file.stem} OpenVINO {self._network.precision} on CPU {width}x{height}"

    @classmethod
    def load(cls, path: Path, config: PoseConfig = PoseConfig()) -> PoseNetwork:
        """A ``.pt``, ``.onnx``, ``.xml`` or OpenVINO folder. Raises DetectorError."""
        if not path.exists():
            raise DetectorError(f"no pose network at {path}: {HOW_TO_GET_ONE}")
        if path.suffix == ".pt":
            settings = DetectorConfig(image_size=config.image_size, cache_dir=config.cache_dir)
            return cls(exported(path, settings, task="pose"), config)
        if path.is_file() and path.suffix not in (".xml", ".onnx"):
            raise DetectorError(f"{path.name} is no pose network: {HOW_TO_GET_ONE}")
        return cls(path if path.suffix == ".onnx" else xml_in(path), config)

    def find(self, images: Sequence[Image]) -> list[Poses]:
        """uint8 (H, W, 3) RGB pictures of any sizes → their bodies, most confident first."""
        return [self._find(image) for image in images]

    def _find(self, image: Image) -> Poses:
        boxed = letterbox(image, self._config.image_size, 32, self._fixed_hw)
        raw = self._network(boxed.pixels[None])[0][0]
        return _to_poses(_rows(raw, self._config), boxed, image)


def _fixed_hw(model: object) -> tuple[int, int] | None:
    shape = model.input().get_partial_shape()  # type: ignore[attr-defined]  # OpenVINO comes without types
    return None if shape[2].is_dynamic else (shape[2].get_length(), shape[3].get_length())


def _check_output(raw: Floats, file: Path) -> None:
    """Anchors as columns of 4 + 1 + 51, or an end-to-end network's rows of 6 + 51."""
    if raw.ndim != 2 or (raw.shape[0] != 5 + _VALUES and raw.shape[1] != 6 + _VALUES):
        raise DetectorError(f"{file.name} gives {raw.shape} a picture, which are no 17 keypoints: {HOW_TO_GET_ONE}")


def _rows(raw: Floats, config: PoseConfig) -> Floats:
    """One raw output → (N, 5 + 51): corners, confidence, keypoints, in letterbox pixels."""
    if raw.shape[1] == 6 + _VALUES:
        rows = np.delete(raw[raw[:, 4] > config.confidence], 5, axis=1)  # without the class
    else:
        columns = raw[:, raw[4] > config.confidence].T
        half = columns[:, 2:4] / 2
        rows = np.concatenate([columns[:, :2] - half, columns[:, :2] + half, columns[:, 4:]], axis=1)
    return np.asarray(rows[best_of(rows[:, :5], config.iou, config.max_people)], np.float32)


def _to_poses(rows: Floats, boxed: Letterboxed, image: Image) -> Poses:
    boxes = clip_to_image(boxed.to_image(rows[:, :5])[:, :4], (image.shape[0], image.shape[1]))
    keypoints = rows[:, 5:].reshape(-1, KEYPOINTS, 3).copy()  # (N, 17, 3) x, y, confidence
    keypoints[..., :2] = (keypoints[..., :2] - np.array(boxed.left_top, np.float32)) / boxed.scale
    return Poses(boxes, np.ascontiguousarray(rows[:, 4]), keypoints)
