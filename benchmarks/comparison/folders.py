"""A weights folder for every network: the trained ones where there are some, else fresh weights from a fixed seed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np

from benchmarks.comparison.clips import Clip, fitted, windows
from benchmarks.comparison.rows import TRAINED
from models.exports.export import ExportJob, export
from models.exports.parity_clips import ParityClip, ParityClips
from models.networks.registry import InputKind, build, network
from models.weights.cards import CARD_FILE, LABELS_FILE, MODEL_FILE, ModelCard, ModelInput, read_card
from models.weights.export_record import ExportFormat, read_exports
from pipeline.files import file_sha256

REPOSITORY = Path(__file__).resolve().parent.parent.parent
LABELS = ("Fighting", "Standing", "Walking", "Other")


def weights_folder(name: str, work: Path) -> Path:
    """→ folder of the network called ``name``; a fresh one is made in ``work`` unless it lies there already."""
    folder = work / name
    if name in TRAINED:  # a copy: its exports are of this run, and the repository's folder stays as it is
        shipped = REPOSITORY / "weights" / TRAINED[name]
        for file in (MODEL_FILE, LABELS_FILE, CARD_FILE):
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(shipped / file, folder / file)
    elif not (folder / CARD_FILE).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _write(name, folder)
    return folder


def _write(name: str, folder: Path) -> None:
    row = network(name)
    keras.utils.set_random_seed(7)
    model = build(name, len(LABELS))
    spread_out(model)
    model.save(folder / MODEL_FILE)
    (folder / LABELS_FILE).write_text("\n".join(LABELS) + "\n", "utf-8")
    frames, height, width, _ = row.clip_shape
    kind = {"kind": "scene"} if row.inputs is InputKind.SCENE else {}
    card = ModelCard(
        name=name,
        kind=name,
        num_classes=len(LABELS),
        input=ModelInput.model_validate({"frames": frames, "height": height, "width": width, **kind}),
        provenance="fresh weights of benchmarks/classifier.py, for speed only",
        licence="none",
        sha256={file: file_sha256(folder / file) for file in (MODEL_FILE, LABELS_FILE)},
    )
    (folder / CARD_FILE).write_text(card.model_dump_json(indent=2) + "\n", "utf-8")


def spread_out(model: keras.Model) -> None:
    """Moves statistics and offsets of the fresh network a little, so that runtimes have something to get wrong.

    A fresh batch normalisation is the identity, which a converter could leave out and nobody would see it.
    """
    generator = np.random.default_rng(7)
    for weight in model.weights:
        value = keras.ops.convert_to_numpy(weight)
        if weight.path.endswith("moving_variance"):
            weight.assign(value * generator.uniform(0.8, 1.2, value.shape))
        elif weight.path.endswith(("moving_mean", "beta")):
            weight.assign(value + generator.normal(0, 0.05, value.shape))


def export_int8(card: ModelCard, clips: Mapping[str, Clip]) -> None:
    """Puts the int8 network beside the others, calibrated on ten windows of two ``clips``, unless it is there already.

    Raises ModelsError for networks that cannot be quantised.
    """
    if any(record.format is ExportFormat.OPENVINO_INT8 for record in read_exports(card)):
        return
    real = _parity_clips(clips.values(), card)
    some = list(clips.values())[-2:]
    cut = _parity_clips((window for clip in some for window in windows(clip).values()), card)
    export(ExportJob(card, ExportFormat.OPENVINO_INT8, real, cut), say=lambda _: None)


def _parity_clips(clips: Iterable[Clip], card: ModelCard) -> ParityClips:
    items = tuple(partial(ParityClip, fitted(clip, card.clip_shape)) for clip in clips)
    return ParityClips("the benchmark's clips", items)


def input_shapes(model: keras.Model, clip_shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """→ each input's shape without the batch axis; what the network leaves open is the clip's."""
    shapes = (tensor.shape[1:] for tensor in model.inputs)
    return [tuple(clip_shape[i] if size is None else size for i, size in enumerate(shape)) for shape in shapes]


def read(name: str, work: Path) -> ModelCard:
    return read_card(weights_folder(name, work))
