"""Optical flow kept on disk, so that every clip pays for it once.

One file a clip, ``<two hex digits>/<sha256>.npy``, named after the clip's pixels, the method and this format. int8 by
default (steps of 0.16 pixels, 6 MB for 64 fields of 224²; I3D itself was trained on 8 bits), or float16 by option.
Files are written under another name and renamed; one that is damaged is computed again. Several threads and
processes may share a folder.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data.batches.flow import Clip, Flow, FlowMethod, flow_fields
from pipeline.files import write_atomically

_FORMAT = "1"
_STEPS = 127  # int8 values of one unit


class FlowPrecision(str, Enum):
    """How fields lie on disk."""

    INT8 = "int8"
    FLOAT16 = "float16"


class FlowCache:
    """Flow of clips, from ``folder`` where it is there. Thread-safe; holds nothing in memory."""

    def __init__(
        self, folder: Path, method: FlowMethod = FlowMethod.DIS, precision: FlowPrecision = FlowPrecision.INT8
    ) -> None:
        self._folder = folder
        self._method = method
        self._precision = precision

    def fields(self, clip: Clip) -> Flow:
        """uint8 (T, H, W, 3) → float32 (T, H, W, 2) in [-1, 1], rounded as the precision says also when just computed.

        Raises what ``flow_fields`` raises, OSError where the disk fails.
        """
        path = self.path(clip)
        stored = _load(path, (*clip.shape[:3], 2), np.dtype(self._precision.value))
        if stored is None:
            stored = self._pack(flow_fields(clip, self._method))
            _store(path, stored)
        return np.divide(stored, _STEPS if stored.dtype == np.int8 else 1, dtype=np.float32)

    def path(self, clip: Clip) -> Path:
        """Where the flow of this clip lies or will lie."""
        digest = hashlib.sha256(f"{_FORMAT} {self._method.value} {self._precision.value} {clip.shape}".encode())
        digest.update(np.ascontiguousarray(clip).data)
        name = digest.hexdigest()
        return self._folder / name[:2] / f"{name}.npy"

    def _pack(self, fields: Flow) -> NDArray[np.int8] | NDArray[np.float16]:
        if self._precision is FlowPrecision.INT8:
            return np.rint(fields * _STEPS).astype(np.int8)
        return fields.astype(np.float16)


def _load(path: Path, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> NDArray[np.generic] | None:
    """→ what the file holds, None when there is none or it is not what it should be."""
    try:
        stored: NDArray[np.generic] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return stored if stored.shape == shape and stored.dtype == dtype else None


def _store(path: Path, packed: NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: np.save(file, packed, allow_pickle=False))
