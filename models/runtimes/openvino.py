"""Running a saved network in OpenVINO, the runtime for CPUs.

The network is converted once by a child process (``models.conversion.openvino_export``), because the conversion needs
TensorFlow, whose memory would otherwise stay with a process that lives for months. The result is kept on disk under a
key of everything it depends on.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from models.errors import CardError, OverlapUnsupportedError, RuntimeUnavailableError
from models.runtimes.overlap import StemReuse
from models.runtimes.overlap_openvino import OpenVinoParts
from models.runtimes.runner import Clips, ClipShape, Floats, Precision, RuntimeOptions, check_boxes
from models.weights.cards import MODEL_FILE, ModelCard
from models.weights.export_record import ExportFormat, find_export
from pipeline.files import file_sha256
from pipeline.openvino import cpu_flags

EXPORT_FORMAT = 1  # grows when the exported graph changes for the same network
EXPORT_TIMEOUT_S = 600.0
NATIVE_BF16 = frozenset({"amx_bf16", "avx512_bf16"})  # as Linux names them


def load(card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions) -> OpenVinoRunner:
    """→ runner, converting first where no converted network is kept.

    Raises RuntimeUnavailableError, CardError, and ExportError where an int8 network is damaged.
    """
    core = ov.Core()
    graph = network_file(card, clip_shape, options)
    precision = choose_precision(options.precision, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    properties = cpu_properties(_arithmetic(precision, core), options.threads)
    try:
        compiled = core.compile_model(graph, "CPU", properties)
    except RuntimeError as error:
        raise RuntimeUnavailableError(f"OpenVINO cannot load {graph}: {error}") from error
    classes = compiled.output(0).partial_shape[-1].get_length()  # the number of people may be open
    if classes != card.num_classes:
        raise CardError(f"{card.folder / MODEL_FILE} has {classes} classes, its card says {card.num_classes}")
    return OpenVinoRunner(compiled, precision, GraphSource(graph, properties))


def cpu_properties(arithmetic: str, threads: int | None) -> dict[str, Any]:
    """→ how a network is compiled for one clip at a time; ``arithmetic`` is f32 or bf16."""
    properties: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": arithmetic,
        "NUM_STREAMS": 1,
        # Threads tied to cores wait for them wherever anything else runs, as detection does: 5 % more CPU time a clip.
        "ENABLE_CPU_PINNING": False,
    }
    if threads is not None:
        properties["INFERENCE_NUM_THREADS"] = threads
    return properties


@dataclass(frozen=True, slots=True)
class GraphSource:
    """What a runner was compiled from, for those that compile parts of it."""

    graph: Path
    properties: Mapping[str, Any]


class OpenVinoRunner:
    """One inference request, one clip at a time: on CPUs a batch of clips is slower than the clips in turn."""

    preferred_batch = 1
    shares_clips = True

    def __init__(self, compiled: Any, precision: Precision, source: GraphSource | None = None) -> None:
        self._source = source
        self._request = compiled.create_infer_request()
        self._wants_boxes = len(compiled.inputs) > 1
        self._lock = threading.Lock()
        threads = compiled.get_property("INFERENCE_NUM_THREADS")
        release = ".".join(ov.__version__.split("-")[0].split(".")[:2])
        self.description = f"OpenVINO {release} {precision.value} on CPU, {threads} threads"
        shape = tuple(compiled.input(0).shape)
        whole = np.array([[0, 0, 1, 1]], np.float32) if self._wants_boxes else None
        self(np.zeros(shape, np.uint8), whole)  # the first inference prepares kernels and memory

    def __call__(self, clips: Clips, boxes: Floats | None = None) -> Floats:
        check_boxes(clips, boxes, self._wants_boxes)
        inputs: list[Any] = [clips] if boxes is None else [clips, boxes]
        with self._lock:
            if boxes is not None and len(clips) == 1:  # several people of one scene, whose features are computed once
                return self._run(inputs)
            return np.concatenate([self._run([each[i : i + 1] for each in inputs]) for i in range(len(clips))])

    def overlapping(self, memory_bytes: int) -> StemReuse:
        """→ the same network, which reuses the stem of overlapping clips; its features take ``memory_bytes`` at most.

        Raises OverlapUnsupportedError when the network has no such stem or the memory holds none.
        """
        if self._source is None:
            raise OverlapUnsupportedError("this runner does not know the graph it was compiled from")
        graph, properties = self._source.graph, self._source.properties
        return StemReuse(OpenVinoParts(graph, properties, self.description), memory_bytes)

    def _run(self, inputs: list[Any]) -> Floats:
        """One clip uint8 (1, T, H, W, 3), read where it lies, and boxes float32 (N, 4) where it has some."""
        self._request.infer([np.ascontiguousarray(each) for each in inputs], share_inputs=True)
        return np.array(self._request.get_output_tensor(0).data, np.float32)  # a copy: the request reuses its memory


def choose_precision(wanted: Precision, capabilities: list[str], flags: frozenset[str] | None = None) -> Precision:
    """bf16 where the CPU multiplies it natively, else float32.

    OpenVINO lists BF16 also for CPUs that only emulate it, slowly; ``flags`` (this CPU's, where None) decide then. An
    empty set means that nothing is known of the CPU, and OpenVINO is believed.
    """
    if wanted is not Precision.AUTO:
        return wanted
    known = cpu_flags() if flags is None else flags
    native = not known or bool(known & NATIVE_BF16)
    return Precision.BF16 if native and "BF16" in capabilities else Precision.F32


def _arithmetic(precision: Precision, core: Any) -> str:
    """What OpenVINO computes in wherever the graph does not say int8 itself."""
    if precision is Precision.INT8:
        precision = choose_precision(Precision.AUTO, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    return precision.value


def network_file(card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions) -> Path:
    """→ the graph to load, converted now where none is there.

    An int8 network must have been made beforehand; for the other precisions an export serves as well as a conversion.
    Raises RuntimeUnavailableError, CardError, ExportError.
    """
    int8 = options.precision is Precision.INT8
    form, precision = (ExportFormat.OPENVINO_INT8, "int8") if int8 else (ExportFormat.OPENVINO, "f32")
    export = find_export(card, form, precision, clip_shape)
    if export is not None and (int8 or export.usable_by_default):
        return export.path
    if int8:
        raise RuntimeUnavailableError(
            f"{card.name} has no int8 network for clips of {clip_shape}: make it with "
            f"`actoscope export {card.name} --format {form.value}`"
        )
    return converted(card, clip_shape, options.cache_dir or card.folder / "openvino")


def converted(card: ModelCard, clip_shape: ClipShape, cache_dir: Path) -> Path:
    """→ path of the OpenVINO graph (.xml, its .bin beside it), made now unless it is kept already."""
    folder = cache_dir / f"{card.name}-{cache_key(card, clip_shape)}"
    graph = folder / "model.xml"
    if graph.is_file() and graph.with_suffix(".bin").is_file():
        return graph
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=cache_dir) as work:
            fresh = Path(work) / "graph"
            fresh.mkdir()
            _export(card, clip_shape, fresh / "model.xml")
            _publish(fresh, folder)
    except OSError as error:
        raise RuntimeUnavailableError(f"cannot keep the converted network in {cache_dir}: {error}") from error
    return graph


def cache_key(card: ModelCard, clip_shape: ClipShape) -> str:
    """Short hash of all that the converted graph depends on: network, clip shape, exporter and library versions."""
    parts = [file_sha256(_model_file(card)), "x".join(map(str, clip_shape)), str(EXPORT_FORMAT)]
    for package in ("openvino", "tensorflow", "keras"):
        try:
            parts.append(f"{package}={version(package)}")
        except PackageNotFoundError:  # a machine that only runs graphs converted elsewhere
            parts.append(f"{package}=none")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _model_file(card: ModelCard) -> Path:
    path = card.folder / MODEL_FILE
    if not path.is_file():
        raise CardError(f"{path} is missing")
    return path


def _publish(fresh: Path, folder: Path) -> None:
    """Move the finished graph into place; when another process was first, its equal graph stays."""
    try:
        fresh.rename(folder)
    except OSError:
        if not (folder / "model.xml").is_file():
            raise


def _export(card: ModelCard, clip_shape: ClipShape, graph: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "models.conversion.openvino_export",
        str(card.folder),
        str(graph),
        *map(str, clip_shape),
    ]
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=EXPORT_TIMEOUT_S,
            check=False,
            env={**os.environ, **quiet, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        raise RuntimeUnavailableError(f"converting {card.name} took more than {EXPORT_TIMEOUT_S:.0f} s") from None
    if result.returncode != 0 or not graph.is_file():
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeUnavailableError(f"{card.name} cannot be converted for OpenVINO: {last}")
