"""Running a saved network in OpenVINO, the runtime for CPUs.

From its export or from a graph converted at the first start (``models.runtimes.converted``).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from models.errors import CardError, OverlapUnsupportedError, RuntimeUnavailableError
from models.runtimes.converted import openvino_graph
from models.runtimes.overlap import StemReuse
from models.runtimes.overlap_openvino import OpenVinoParts
from models.runtimes.runner import Clips, Floats, Precision, RuntimeOptions, check_boxes
from models.runtimes.stem_blocks import fold_stem
from models.weights.cards import MODEL_FILE, ClipShape, ModelCard
from pipeline.openvino import cpu_flags

NATIVE_BF16 = frozenset({"amx_bf16", "avx512_bf16"})  # as Linux names them


def load(card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions) -> OpenVinoRunner:
    """→ runner, converting first where no converted network is kept.

    Raises RuntimeUnavailableError, CardError, and ExportError where an int8 network is damaged.
    """
    runner = open_file(openvino_graph(card, clip_shape, options), options.precision, options)
    if runner.classes != card.num_classes:
        raise CardError(f"{card.folder / MODEL_FILE} has {runner.classes} classes, its card says {card.num_classes}")
    return runner


def open_file(graph: Path, precision: Precision, options: RuntimeOptions) -> OpenVinoRunner:
    """→ runner of an .xml with its .bin. Raises RuntimeUnavailableError when OpenVINO refuses it.

    Of a graph in int8 the graph says what is int8; the rest is computed in what this CPU multiplies natively.
    """
    core = ov.Core()
    native = choose_precision(Precision.AUTO, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    chosen = native if precision is Precision.AUTO else precision
    properties = cpu_properties((native if chosen is Precision.INT8 else chosen).value, options.threads)
    try:
        model = core.read_model(graph)
        fold_stem(model, properties["INFERENCE_PRECISION_HINT"])
        compiled = core.compile_model(model, "CPU", properties)
    except RuntimeError as error:
        raise RuntimeUnavailableError(f"OpenVINO cannot load {graph}: {error}") from error
    return OpenVinoRunner(compiled, chosen, GraphSource(graph, properties))


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
        self.classes = int(compiled.output(0).partial_shape[-1].get_length())  # the number of people may be open
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
