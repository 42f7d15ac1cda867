"""An export's files → a runner of exactly these files, to measure them before anybody else may use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
    from models.runtimes.openvino import open_file  # noqa: PLC0415 - each vendor only where its format is asked for

    return open_file(record.path, Precision(record.precision), options)


def _onnx(record: ExportRecord, _card: ModelCard, options: RuntimeOptions) -> Runner:
    from models.runtimes.onnx import open_file  # noqa: PLC0415 - an optional extra

    return open_file(record.path, record.precision, options)


def _litert(record: ExportRecord, _card: ModelCard, options: RuntimeOptions) -> Runner:
    from models.runtimes.litert import open_file  # noqa: PLC0415 - an optional extra

    return open_file(record.path, record.precision, options)


def _savedmodel(record: ExportRecord, card: ModelCard, options: RuntimeOptions) -> Runner:
    from models.runtimes.savedmodel import open_file  # noqa: PLC0415 - TensorFlow takes seconds

    return open_file(record.path, options, card.num_classes)


def _tensorrt(record: ExportRecord, _card: ModelCard, options: RuntimeOptions) -> Runner:
    """Through ONNX Runtime, which builds the engine, where it was built with TensorRT and finds a GPU."""
    from models.runtimes.onnx import open_file, providers_here  # noqa: PLC0415 - an optional extra

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
