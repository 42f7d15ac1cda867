"""Halve a saved network: the kernels in its ``.keras`` archive become float16, compressed.

Keras converts what it reads to a variable's own type, so ``keras.saving.load_model`` gives float32 variables as
before, rounded to 11 bits. Vectors (offsets and batch statistics) stay float32: they are small, and statistics can
leave float16's range.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import IO

import h5py  # type: ignore[import-untyped]
import numpy as np

from models.errors import TrainingError
from pipeline.files import write_atomically

WEIGHTS_MEMBER = "model.weights.h5"


def halve(archive: Path) -> None:
    """Rewrite ``archive`` in place, whole or not at all. Raises TrainingError when it is no Keras archive or a kernel
    holds numbers that float16 cannot (above 65,504).
    """
    try:
        with zipfile.ZipFile(archive) as old:
            write_atomically(archive, lambda file: _rewrite(old, file))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{archive} cannot be rewritten: {error}") from error


def _rewrite(old: zipfile.ZipFile, file: IO[bytes]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as new:
        for member in old.infolist():
            content = old.read(member)
            new.writestr(member, half_weights(content) if member.filename == WEIGHTS_MEMBER else content)


def half_weights(content: bytes) -> bytes:
    """HDF5 file with float32 arrays → the same with float16 kernels, both as bytes."""
    target = io.BytesIO()
    with h5py.File(io.BytesIO(content), "r") as old, h5py.File(target, "w") as new:
        _copy(old, new)
    return target.getvalue()


def _copy(old: h5py.Group, new: h5py.Group) -> None:
    new.attrs.update(old.attrs)
    for name, item in old.items():
        if isinstance(item, h5py.Group):
            _copy(item, new.create_group(name))
        else:
            _copy_array(item, new, name)


def _copy_array(item: h5py.Dataset, new: h5py.Group, name: str) -> None:
    values = item[()]
    if item.ndim < 2 or item.dtype != np.float32:
        new.create_dataset(name, data=values).attrs.update(item.attrs)
        return
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if not np.isfinite(half).all():
        raise TrainingError(f"{item.name} holds numbers that float16 cannot")
    new.create_dataset(name, data=half, compression="gzip", compression_opts=9, shuffle=True).attrs.update(item.attrs)
