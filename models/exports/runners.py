"""An export's files → a runner of exactly these files, to measure them before anybody else may use them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from models.errors import RuntimeUnavailableError
from models.runtimes.flow_input import for_pictures
from models.runtimes.runner import Precision, Runner, RuntimeOptions
from models.weights.cards import ModelCard
from models.weights.export_record import ExportFormat, ExportRecord

TENSORRT_PROVIDER = "TensorrtExecutionProvider"
_Opener = Callable[[ExportRecord, ModelCard, RuntimeOptions], Runner]


def open_export(record: ExportRecord, card: ModelCard, options: RuntimeOptions) -> Runner:
    """→ a runner of the export. Raises RuntimeUnavailableError when nothing on this machine runs the format."""
    opener = _OPENERS.get(record.format)
    if opener is None:
        raise RuntimeUnavailableError(f"nothing on this machine runs {record.format.value}")
    try:
        return for_pictures(opener(record, card, options), card)
    except ImportError as error:
        raise RuntimeUnavailableError(f"the runtime for {record.format.value} is not installed: {error}") from error


def _openvino(record: ExportRecord, _card: ModelCard, options: RuntimeOptions) -> Runner:
    openvino: Any = importlib.import_module("openvino")
    runtime: Any = importlib.import_module("models.runtimes.openvino")
    precision, core = Precision(record.precision), openvino.Core()
    arithmetic = precision
    if precision is Precision.INT8:  # the graph says what is int8; the rest is computed as the service will
        arithmetic = runtime.choose_precision(Precision.AUTO, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    try:
        compiled = core.compile_model(record.path, "CPU", runtime.cpu_properties(arithmetic.value, options.threads))
    except RuntimeError as error:
        raise RuntimeUnavailableError(f"OpenVINO cannot load {record.path}: {error}") from error
    runner: Runner = runtime.OpenVinoRunner(compiled, precision)
    return runner


def _onnx(record: ExportRecord, _card: ModelCard, options: RuntimeOptions) -> Runner:
    from models.runtimes.onnx import open_file  # noqa: PLC0415  # each runtime only where it is asked for

    return open_file(record.path, record.precision, options)


def _litert(record: ExportRecord, _card: ModelCard, options: RuntimeOptions) -> Runner:
    from models.runtimes.litert import open_file  # noqa: PLC0415

    return open_file(record.path, record.precision, options)


def _savedmodel(record: ExportRecord, card: ModelCard, options: RuntimeOptions) -> Runner:
    from models.runtimes.savedmodel import open_file  # noqa: PLC0415

    return open_file(record.path, options, card.num_classes)


def _tensorrt(record: ExportRecord, _card: ModelCard, options: RuntimeOptions) -> Runner:
    """Through ONNX Runtime, which builds the engine, where it was built with TensorRT and finds a GPU."""
    from models.runtimes.onnx import open_file, providers_here  # noqa: PLC0415

    if TENSORRT_PROVIDER not in providers_here():
        raise RuntimeUnavailableError("TensorRT is not here")
    return open_file(record.path, record.precision, options, (TENSORRT_PROVIDER, "CUDAExecutionProvider"))


_OPENERS: Mapping[ExportFormat, _Opener] = {
    ExportFormat.OPENVINO: _openvino,
    ExportFormat.OPENVINO_INT8: _openvino,
    ExportFormat.ONNX: _onnx,
    ExportFormat.LITERT: _litert,
    ExportFormat.SAVEDMODEL: _savedmodel,
    ExportFormat.TENSORRT: _tensorrt,
}
