"""Finding people in frames. The only file that imports ultralytics, and the only one that knows its BGR.

On a CPU every network runs in OpenVINO without torch in this process: a ``.pt`` is exported once by ultralytics in a
process of its own and cached, unless its conversion lies beside it. On a GPU, and for TensorRT engines, ultralytics
runs it.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import yaml  # type: ignore[import-untyped]  # comes with ultralytics, without types

from pipeline.entities import Detections, Floats, Image
from pipeline.errors import DetectorError
from pipeline.files import default_cache_dir, file_sha256
from pipeline.geometry import clip_to_image
from pipeline.letterbox import GREY, letterbox, suppress
from pipeline.openvino import CpuNetwork, converted, precision_notes, run_statement, takes_uint8

DOWNLOADED_WEIGHTS = "yolo26n.pt"  # ultralytics fetches it by name
CARD = "card.json"  # of a weights folder; its "sha256" says which conversion belongs to which network


@dataclass(frozen=True)
class DetectorConfig:
    """How people are found.

    ``confidence`` is low on purpose: the tracker keeps known people by weak detections and starts new ones only on
    strong ones (``TrackerConfig``). ``weights_dir`` is where ``person/`` is looked for when no network is named; None
    looks nowhere. ``device`` is ``auto`` (a GPU where torch sees one), ``cpu`` or a torch name such as ``cuda:0``;
    ``threads`` 0 leaves the number to OpenVINO.
    """

    image_size: int = 640
    confidence: float = 0.1
    iou: float = 0.7
    max_detections: int = 100
    cache_dir: Path | None = None
    weights_dir: Path | None = None
    device: str = "auto"
    threads: int = 0

    def __post_init__(self) -> None:
        _check_size(self.image_size)
        for name in ("confidence", "iou"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie between 0 and 1, got {getattr(self, name)}")
        if self.max_detections < 1:
            raise ValueError(f"max_detections must be 1 or more, got {self.max_detections}")


def _check_size(image_size: int) -> None:
    if image_size < 64 or image_size % 32:
        raise ValueError(f"image_size must be a multiple of 32 from 64 on, got {image_size}")


class _Backend(Protocol):
    """A loaded network: RGB images in, (N, 5) rows of x1, y1, x2, y2, confidence of persons out, in image pixels."""

    runtime: str

    def __call__(self, images: Sequence[Image], image_size: int) -> list[Floats]: ...


def resolve_person_weights(weights_dir: Path | None) -> Path | str:
    """The default network: the one in ``weights_dir/person``, else a name to download."""
    own = sorted((weights_dir / "person").glob("*.pt")) if weights_dir is not None else []
    return own[0] if own else DOWNLOADED_WEIGHTS


class PersonDetector:
    """Images in, people out. Call it from one thread."""

    def __init__(self, backend: _Backend, config: DetectorConfig, name: str) -> None:
        self._backend = backend
        self._config = config
        self.description = f"{name} {backend.runtime} {config.image_size}"

    @classmethod
    def load(cls, path: Path | str | None, config: DetectorConfig | None = None) -> PersonDetector:
        """Load a ``.pt``, ``.onnx``, ``.engine`` or OpenVINO folder; None takes ``resolve_person_weights``.

        Raises DetectorError when the file is missing, is no detection network, or knows no person.
        """
        config = config or DetectorConfig()
        chosen = path if path is not None else resolve_person_weights(config.weights_dir)
        file = _download(str(chosen), config) if str(chosen) == DOWNLOADED_WEIGHTS else Path(chosen)
        if not file.exists():
            raise DetectorError(f"no detector at {file}")
        return cls(_open_backend(file, config), config, file.name.removesuffix("_openvino_model").removesuffix(".pt"))

    def detect(self, images: Sequence[Image], image_size: int | None = None) -> list[Detections]:
        """uint8 (H, W, 3) RGB images, of any sizes → their people, most confident first; features stay None.

        ``image_size`` is the input's longer side for this call alone, a multiple of 32 (None: the configuration's).
        Networks exported with a fixed shape, ``.onnx`` on a GPU and TensorRT engines keep theirs. Raises ValueError.
        """
        size = self._config.image_size if image_size is None else image_size
        _check_size(size)
        for image in images:
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
                raise ValueError(f"expected uint8 (H, W, 3) RGB images, got {image.dtype} {image.shape}")
        if not images:
            return []
        return [self._to_detections(*pair) for pair in zip(self._backend(images, size), images, strict=True)]

    def _to_detections(self, rows: Floats, image: Image) -> Detections:
        boxes = clip_to_image(rows[:, :4], (image.shape[0], image.shape[1]))
        solid = ((boxes[:, 2:] - boxes[:, :2]) >= 1.0).all(axis=1)
        return Detections(boxes[solid], np.ascontiguousarray(rows[solid, 4], np.float32))


def _open_backend(file: Path, config: DetectorConfig) -> _Backend:
    """Choose who runs the network: OpenVINO on a CPU, ultralytics with a GPU."""
    if file.is_dir() or file.suffix == ".xml":
        return _OpenVinoBackend(xml_in(file), config)
    if file.suffix not in {".pt", ".onnx", ".engine"}:
        raise DetectorError(f"expected a .pt, .onnx, .engine or an OpenVINO folder, got {file.name}")
    device = _gpu_device(config.device)
    if file.suffix == ".engine" and device is None:
        raise DetectorError(f"{file.name} is a TensorRT engine and needs an NVIDIA GPU; use the .pt on this machine")
    if device is not None:
        return _UltralyticsBackend(file, config, device)
    if file.suffix == ".pt":
        file = shipped_conversion(file) or exported(file, config)
    return _OpenVinoBackend(file, config)


def _gpu_device(device: str) -> str | None:
    """The torch device to use, or None for the CPU. Asks the driver first: importing torch costs seconds."""
    if device == "cpu":
        return None
    if device != "auto":
        return device
    if not any(Path("/dev").glob("nvidia[0-9]*")) and "WSL_DISTRO_NAME" not in os.environ:
        return None
    import torch  # noqa: PLC0415 - takes seconds, and is asked only where a GPU may be

    return "cuda:0" if torch.cuda.is_available() else None


class _OpenVinoBackend:
    """A YOLO network in OpenVINO on the CPU; takes uint8 RGB, so no float copy is made outside the graph."""

    def __init__(self, file: Path, config: DetectorConfig) -> None:
        self._config = config
        model, metadata = read_network(file)
        self._person, self._stride = _person_class(metadata.get("names")), int(metadata.get("stride", 32))
        shape = model.input().get_partial_shape()
        self._fixed_hw = None if shape[2].is_dynamic else (shape[2].get_length(), shape[3].get_length())
        self._fixed_batch = 0 if shape[0].is_dynamic else shape[0].get_length()
        height, width = self._fixed_hw or (config.image_size, config.image_size)
        sample = np.full((self._fixed_batch or 1, height, width, 3), GREY, np.uint8)
        ready = takes_uint8(model, mean=(0, 0, 0), scale=(255, 255, 255))
        self._network = CpuNetwork(ready, sample, config.threads, precision_notes(config.cache_dir, file))
        self.runtime = f"OpenVINO {self._network.precision} on CPU"

    def __call__(self, images: Sequence[Image], image_size: int) -> list[Floats]:
        boxed = [letterbox(image, image_size, self._stride, self._fixed_hw) for image in images]
        rows: list[Floats] = [np.empty((0, 5), np.float32)] * len(images)
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for index, item in enumerate(boxed):
            by_shape.setdefault(item.pixels.shape, []).append(index)
        for indices in by_shape.values():
            for raw, index in zip(self._infer([boxed[i].pixels for i in indices]), indices, strict=True):
                rows[index] = boxed[index].to_image(self._select(raw))
        return rows

    def _infer(self, pixels: list[Image]) -> list[Floats]:
        """Equal-sized uint8 (h, w, 3) → the raw output of each."""
        step = self._fixed_batch or len(pixels)
        outputs: list[Floats] = []
        for start in range(0, len(pixels), step):
            part = pixels[start : start + step]
            batch = np.stack(part + [part[-1]] * (step - len(part)))  # (B, h, w, 3)
            outputs.extend(self._network(batch)[0][: len(part)])
        return outputs

    def _select(self, raw: Floats) -> Floats:
        """One raw output → (N, 5) persons after thresholds and non-maximum suppression, in letterbox pixels."""
        if raw.shape[-1] == 6:  # end-to-end network: (300, 6) rows of corners, confidence, class
            rows = raw[(raw[:, 5] == self._person) & (raw[:, 4] > self._config.confidence), :5]
        else:  # (4 + classes, anchors): centre, size, a score for each class
            keep = raw[4 + self._person] > self._config.confidence
            centre, half = raw[:2, keep].T, raw[2:4, keep].T / 2
            rows = np.concatenate([centre - half, centre + half, raw[4 + self._person, keep, None]], axis=1)
        return suppress(rows, self._config.iou, self._config.max_detections)


class _UltralyticsBackend:
    """Torch, ONNX Runtime or TensorRT on a GPU by ultralytics, one batch for all images."""

    def __init__(self, file: Path, config: DetectorConfig, device: str) -> None:
        ultralytics = _import_ultralytics(config)
        self._own_size = None if file.suffix == ".pt" else config.image_size
        self._options = {
            "conf": config.confidence,
            "iou": config.iou,
            "max_det": config.max_detections,
            "device": device,
            "verbose": False,
            "rect": True,
        }
        try:
            self._model = ultralytics.YOLO(str(file), task="detect")
            self._person = _person_class(self._model.names)
        except (RuntimeError, OSError, ImportError, TypeError, AttributeError) as error:
            raise DetectorError(f"ultralytics cannot load {file.name}: {error}") from error
        self.runtime = f"ultralytics {file.suffix[1:]} on {device}"

    def __call__(self, images: Sequence[Image], image_size: int) -> list[Floats]:
        bgr = [np.ascontiguousarray(image[..., ::-1]) for image in images]
        size = self._own_size or image_size
        results = self._model.predict(bgr, classes=[self._person], imgsz=size, **self._options)
        return [np.asarray(result.boxes.data.cpu().numpy()[:, :5], np.float32) for result in results]


def _person_class(names: Any) -> int:
    """The index of the class ``person`` in ultralytics' ``names`` (or the only class there is)."""
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise DetectorError("the detector carries no class names: expected an ultralytics detection network")
    for index, name in names.items():
        if str(name).lower() == "person":
            return int(index)
    if len(names) == 1:
        return int(next(iter(names)))
    raise DetectorError(f"the detector knows no class 'person', only {', '.join(map(str, list(names.values())[:8]))}")


def read_network(file: Path) -> tuple[Any, dict[str, Any]]:
    """An ``.onnx`` or ``.xml`` with metadata inside, or an ``.xml`` with its ``metadata.yaml`` → model and metadata."""
    import openvino  # noqa: PLC0415 - 0.3 s that a process without a network should not pay

    try:
        model = openvino.Core().read_model(file)
    except RuntimeError as error:
        raise DetectorError(f"OpenVINO cannot read {file.name}: {error}") from error
    if len(model.inputs) != 1 or len(model.input().get_partial_shape()) != 4:
        raise DetectorError(f"{file.name} is no image network: expected one input of (B, 3, H, W)")
    if file.suffix == ".onnx" or model.has_rt_info(["framework", "names"]):
        return model, _inner_metadata(model)
    return model, _parse_metadata(file.parent / "metadata.yaml")


def _parse_metadata(file: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(file.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise DetectorError(f"{file} is missing or unreadable: expected ultralytics' metadata") from error
    return loaded if isinstance(loaded, dict) else {}


def _inner_metadata(model: Any) -> dict[str, Any]:
    """ultralytics stores ``names`` and ``stride`` as text in the ONNX file; OpenVINO keeps them under ``framework``.

    So does ``models.person_training.conversion`` in what it writes.
    """
    found: dict[str, Any] = {}
    for key in ("names", "stride"):
        if model.has_rt_info(["framework", key]):
            text = str(model.get_rt_info(["framework", key]).value)
            try:
                found[key] = ast.literal_eval(text)
            except (ValueError, SyntaxError) as error:
                raise DetectorError(f"metadata {key!r} of the network is unreadable: {text[:80]}") from error
    return found


def xml_in(path: Path) -> Path:
    if path.suffix == ".xml":
        return path
    found = sorted(path.glob("*.xml"))
    if not found:
        raise DetectorError(f"no OpenVINO .xml in {path}")
    return found[0]


def conversion_files(file: Path) -> tuple[Path, Path]:
    """Where the conversion of a ``.pt`` lies that ships with it: (.xml, .bin)."""
    return file.with_suffix(".xml"), file.with_suffix(".bin")


def shipped_conversion(file: Path) -> Path | None:
    """The OpenVINO ``.xml`` beside a ``.pt``, if the card there names network and conversion as they are; else None.

    So another network under the same name, and a conversion that is damaged or half there, are exported as any other.
    """
    try:
        sums = json.loads((file.parent / CARD).read_text("utf-8"))["sha256"]
        belongs = all(sums[part.name] == file_sha256(part) for part in (file, *conversion_files(file)))
    except (OSError, ValueError, LookupError, TypeError):  # no card, or no word in it about a conversion
        return None
    return conversion_files(file)[0] if belongs else None


def exported(file: Path, config: DetectorConfig, task: str = "detect") -> Path:
    """The cached OpenVINO export of a ``.pt``, made at first use; its folder's key names all it depends on."""
    key = {
        "sha256": file_sha256(file),
        "image_size": str(config.image_size),
        **{package: version(package) for package in ("ultralytics", "openvino", "torch")},
    }

    def convert(folder: Path) -> None:
        arguments = (str(file.resolve()), str(folder), str(config.image_size), task)
        statement = "import sys; from pipeline.detector import export_openvino; export_openvino(*sys.argv[1:])"
        run_statement(statement, *arguments, environment=_ultralytics_environment(config, offline=True))

    return xml_in(converted(config.cache_dir, file.stem, key, convert))


def export_openvino(weights: str, folder: str, image_size: str, task: str = "detect") -> None:
    """Export ``weights`` (.pt) to ``folder`` with dynamic batch, height and width. Runs in a process of its own."""
    from ultralytics import YOLO  # noqa: PLC0415 - brings torch; only this child may

    copy = Path(folder) / "network.pt"  # ultralytics writes beside the weights, which may be read-only
    shutil.copyfile(weights, copy)
    model = YOLO(str(copy))
    if model.task != task:
        raise ValueError(f"expected a network for {task!r}, got one for {model.task!r}")
    produced = Path(model.export(format="openvino", imgsz=int(image_size), dynamic=True, device="cpu", verbose=False))
    for file in produced.iterdir():
        file.rename(Path(folder) / file.name)
    produced.rmdir()
    copy.unlink()


def _ultralytics_environment(config: DetectorConfig, *, offline: bool) -> dict[str, str]:
    """Keep ultralytics to itself: no installs, no downloads, no reports, its settings in our cache."""
    settings = (config.cache_dir or default_cache_dir()) / "ultralytics"
    return {
        "YOLO_AUTOINSTALL": "false",
        "YOLO_OFFLINE": "true" if offline else "false",
        "YOLO_CONFIG_DIR": str(settings),
        "YOLO_VERBOSE": "false",
    }


def _import_ultralytics(config: DetectorConfig) -> Any:
    environment = _ultralytics_environment(config, offline=True)
    Path(environment["YOLO_CONFIG_DIR"]).mkdir(parents=True, exist_ok=True)
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    import ultralytics  # noqa: PLC0415 - brings torch; only where a GPU runs it

    ultralytics.settings.update({"sync": False})
    return ultralytics


def _download(name: str, config: DetectorConfig) -> Path:
    """ultralytics' own download of its published weights into the cache: the one place that uses the network."""
    folder = (config.cache_dir or default_cache_dir()) / "ultralytics"
    target = folder / name
    if not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        statement = "import sys; from pipeline.detector import download_weights; download_weights(sys.argv[1])"
        run_statement(statement, str(target), environment=_ultralytics_environment(config, offline=False))
    return target


def download_weights(target: str) -> None:
    """Fetch the file that ``target`` is named after. Runs in a process of its own; the name appears only when whole."""
    from ultralytics import settings  # noqa: PLC0415 - brings torch; only this child may
    from ultralytics.utils.downloads import attempt_download_asset  # noqa: PLC0415 - brings torch, too

    settings.update({"sync": False})
    part = Path(target).with_name("download") / Path(target).name
    part.parent.mkdir(exist_ok=True)
    attempt_download_asset(part)
    if not part.is_file():
        raise FileNotFoundError(f"{part.name} could not be downloaded")
    part.replace(target)
