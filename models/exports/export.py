"""``actoscope export``: a weights folder → files for a runtime, held to the network on real clips before they are kept.

An export appears by one rename, with ``export.json`` (``weights.export_record``) beside its files. One whose first
choice differs from the network's on more than 1 % of the clips is kept for whoever asks for it, and never chosen by
default.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.conversion.convert import convert, versions
from models.conversion.formats import FORMATS, FormatRow, checked_precision, folder_name
from models.conversion.openvino_int8 import quantize
from models.errors import ExportError, RuntimeUnavailableError
from models.exports.parity import Progress, measure
from models.exports.parity_clips import ParityClips
from models.exports.runners import open_export
from models.runtimes.flow_input import packed
from models.runtimes.load import load_runner
from models.runtimes.runner import Precision, RuntimeOptions
from models.weights.cards import MODEL_FILE, ClipShape, ModelCard
from models.weights.export_record import EXPORTS_FOLDER, RECORD_FILE, ExportFormat, ExportRecord
from models.weights.network_input import network_shape
from pipeline.files import file_sha256

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ExportJob:
    """What to write. ``output``: folder that gets the export's folder (default: ``exports`` in the card's).

    ``clips``: to measure parity on. ``calibration``: other ones, for formats that are quantised by them.
    """

    card: ModelCard
    format: ExportFormat
    clips: ParityClips
    calibration: ParityClips | None = None
    precision: str | None = None
    output: Path | None = None
    threads: int | None = None

    @property
    def row(self) -> FormatRow:
        return FORMATS[self.format]

    @property
    def root(self) -> Path:
        return self.output or self.card.folder / EXPORTS_FOLDER


def export(job: ExportJob, say: Say, progress: Progress | None = None) -> ExportRecord:
    """Convert, measure, keep → the record. An earlier export of the same kind is replaced when the new one is whole.

    Raises ExportError when the format or precision is not to be had for this network, CardError for a broken folder,
    OSError when the disk fails.
    """
    row, card = job.row, job.card
    precision = checked_precision(row, job.precision)
    job.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=job.root) as work:
        fresh, old = Path(work) / "fresh", Path(work) / "old"
        fresh.mkdir()
        say(f"converting {card.name} to {row.format.value} {precision}")
        _write(job, row, precision, fresh, progress)
        record = _with_parity(_record(card, row, precision, fresh), job, say, progress)
        (fresh / RECORD_FILE).write_text(record.model_dump_json(indent=2) + "\n", "utf-8")
        final = job.root / folder_name(row, precision)
        if final.exists():
            final.rename(old)
        fresh.rename(final)
        shutil.rmtree(old, ignore_errors=True)
    return record.model_copy(update={"folder": final})


def _write(job: ExportJob, row: FormatRow, precision: str, fresh: Path, progress: Progress | None) -> None:
    target = fresh / row.file
    if row.format is not ExportFormat.OPENVINO_INT8:
        convert(row, precision, job.card, network_shape(job.card), target)
        return
    if not job.calibration:
        raise ExportError(f"{row.format.value} is calibrated on clips: none were given")
    if job.card.input.kind == "scene":
        raise ExportError("networks that read boxes beside clips cannot be calibrated for int8")
    quantize(job.card, packed(job.card, np.stack([clip.pixels for clip in job.calibration])), target, progress)


def _record(card: ModelCard, row: FormatRow, precision: str, fresh: Path) -> ExportRecord:
    files = sorted(path for path in fresh.rglob("*") if path.is_file())
    return ExportRecord(
        format=row.format,
        precision=precision,
        runtime=row.runtime,
        file=row.file,
        clip_shape=network_shape(card),
        batch=row.batch,
        model_sha256=file_sha256(card.folder / MODEL_FILE),
        sha256={path.relative_to(fresh).as_posix(): file_sha256(path) for path in files},
        size_bytes=sum(path.stat().st_size for path in files),
        libraries=versions(row.packages),
        notes=row.notes,
        folder=fresh,
    )


def _with_parity(record: ExportRecord, job: ExportJob, say: Say, progress: Progress | None) -> ExportRecord:
    """→ the record with its parity, or with the reason why there is none."""
    options = RuntimeOptions(threads=job.threads)
    try:
        runner = open_export(record, job.card, options)
    except RuntimeUnavailableError as error:
        say(f"parity cannot be measured: {error}")
        return record.model_copy(update={"notes": (*record.notes, f"parity not measured: {error}")})
    reference = load_runner(job.card, "tensorflow", RuntimeOptions(precision=Precision.F32, threads=job.threads))
    say(f"comparing {runner.description} with {reference.description} on {len(job.clips)} clips: {job.clips.source}")
    parity = measure(reference, runner, job.clips, progress)
    usable = parity.passes and bool(record.runtime)
    return record.model_copy(update={"parity": parity, "usable_by_default": usable})


def describe(record: ExportRecord) -> list[tuple[str, str]]:
    """→ the record as rows of a table for people: what, how much."""
    rows = [
        ("format", f"{record.format.value} {record.precision}"),
        ("size", f"{record.size_bytes / 1e6:.1f} MB"),
        ("clip", _shape(record.clip_shape)),
    ]
    parity = record.parity
    if parity is not None:
        rows += [
            ("compared on", f"{parity.clips} clips: {parity.source}"),
            ("largest logit difference", f"{parity.max_logit_difference:.2e}"),
            ("mean logit difference", f"{parity.mean_logit_difference:.2e}"),
            ("same first choice", f"{parity.top1_agreement:.2%}"),
        ]
        if parity.accuracy is not None and parity.accuracy_change is not None:
            rows.append(("accuracy", f"{parity.accuracy:.4f} ({parity.accuracy_change:+.4f})"))
        times = f"{parity.latency_ms:.0f} ms, reference {parity.reference_latency_ms:.0f} ms"
        rows += [
            ("latency", f"{parity.latency_ratio:.2f} of the reference ({times})"),
            ("measured on", parity.host),
        ]
    rows += [("note", note) for note in record.notes]
    return rows


def _shape(clip_shape: ClipShape) -> str:
    return " × ".join(map(str, clip_shape))
