"""What a runtime opens: the export in the weights folder where there is one for these clips, else a conversion.

Exports are made by ``actoscope export``. A conversion is made at the first start and kept in the cache under a key of
everything that it depends on, because it needs TensorFlow, whose memory would otherwise stay with a process that lives
for months.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.conversion.convert import cache_key, convert
from models.conversion.formats import FORMATS, FormatRow
from models.errors import ExportError, RuntimeUnavailableError
from models.runtimes.runner import Precision, RuntimeOptions
from models.weights.cards import ClipShape, ModelCard
from models.weights.export_record import ExportFormat, ExportRecord, find_export, read_exports
from models.weights.shipped_graph import shipped_graph
from pipeline.files import kept_folder


@dataclass(frozen=True, slots=True)
class Converted:
    """What a runtime opens, and the precision it was written in."""

    path: Path
    precision: str


def ready(card: ModelCard, format: ExportFormat, clip_shape: ClipShape, options: RuntimeOptions) -> Converted:
    """→ an export or a conversion of the card's network, made now where there is none.

    ``auto`` is the fastest export that may be used by default, as measured when it was exported, else the format's
    first precision. Raises RuntimeUnavailableError, CardError, and ExportError when an export is damaged.
    """
    row = FORMATS[format]
    found = _export(card, row, clip_shape, options.precision)
    if found is not None:
        found.verify()
        return Converted(found.path, found.precision)
    precision = _precision(row, options.precision)
    return Converted(_conversion(row, precision, card, clip_shape, options), precision)


def openvino_graph(card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions) -> Path:
    """→ the graph that OpenVINO loads: f32 whatever precision it is to compute in, or the export in int8.

    An int8 network must have been exported beforehand; else an export that may be used by default, or the graph that
    came with the network, serves as well as a conversion, made now where there is none.
    Raises RuntimeUnavailableError, CardError, ExportError.
    """
    int8 = options.precision is Precision.INT8
    format, precision = (ExportFormat.OPENVINO_INT8, "int8") if int8 else (ExportFormat.OPENVINO, "f32")
    export = find_export(card, format, precision, clip_shape)
    if export is not None and (int8 or export.usable_by_default):
        return export.path
    if int8:
        raise RuntimeUnavailableError(
            f"{card.name} has no int8 network for clips of {clip_shape}: make it with "
            f"`actoscope export {card.name} --format {format.value}`"
        )
    return _conversion(FORMATS[format], precision, card, clip_shape, options)


def cache_of(card: ModelCard, options: RuntimeOptions) -> Path:
    """→ the folder that keeps what was converted and measured for the card's network."""
    return options.cache_dir or card.folder / "converted"


def _conversion(
    row: FormatRow, precision: str, card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions
) -> Path:
    """→ what the runtime opens, made now unless it is kept or came with the network.

    Raises RuntimeUnavailableError, CardError.
    """
    shipped = shipped_graph(card, clip_shape) if row.format is ExportFormat.OPENVINO else None
    if shipped is not None:
        return shipped
    cache_dir = cache_of(card, options)
    name = f"{card.name}-{row.format.value}-{precision}-{cache_key(card, clip_shape, row.packages)}"

    def make(fresh: Path) -> None:
        convert(row, precision, card, clip_shape, fresh / row.file)

    try:
        return kept_folder(cache_dir, name, make, (row.file, *row.beside)) / row.file
    except ExportError as error:
        raise RuntimeUnavailableError(str(error)) from error
    except OSError as error:
        raise RuntimeUnavailableError(f"cannot keep the converted network in {cache_dir}: {error}") from error


def _export(card: ModelCard, row: FormatRow, clip_shape: ClipShape, wanted: Precision) -> ExportRecord | None:
    exports = [each for each in read_exports(card) if each.format is row.format and each.clip_shape == clip_shape]
    if wanted is not Precision.AUTO:
        return next((each for each in exports if each.precision == wanted.value), None)
    usable = [each for each in exports if each.usable_by_default and each.parity is not None]
    return min(usable, key=lambda each: each.parity.latency_ratio if each.parity else 1.0, default=None)


def _precision(row: FormatRow, wanted: Precision) -> str:
    if wanted is Precision.AUTO:
        return row.precisions[0]
    if wanted.value not in row.precisions:
        raise RuntimeUnavailableError(
            f"runtime {row.runtime} computes in {', '.join(row.precisions)}; got {wanted.value!r}"
        )
    return str(wanted.value)
