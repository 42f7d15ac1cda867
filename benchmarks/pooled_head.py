"""I3D's output learns from what it reads, the pooled features, whoever computed features further in front.

``AvgPool3d`` has no weights: pooling each clip once, and not in each step, changes nothing but the time of a training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.training.config import Mode
from pipeline.files import write_atomically

Floats = NDArray[np.float32]


def over_pairs(features: NDArray[np.float16]) -> Floats:
    """(t, h, w, D) → (t - 1, D): I3D's AvgPool3d, the mean over space and over every two neighbouring steps."""
    over_space = features.astype(np.float32).mean(axis=(1, 2))
    return np.asarray((over_space[1:] + over_space[:-1]) / 2, np.float32)


def pooled_head(streams: Mapping[Mode, Any], source: Any, folder: Path) -> tuple[Any, Any]:
    """→ the network (``loop.Network``) behind AvgPool3d, and its source: that of features at Mixed_5c, pooled.

    ``folder`` keeps the pooled features of each clip.
    """
    from models.networks.i3d import AVG_POOL  # noqa: PLC0415 - keras takes seconds to import
    from models.training.kinds.i3d import head  # noqa: PLC0415
    from models.training.run.loop import Network  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    found = source.features[Mode.RGB]
    files = tuple((_pooled_file(row[0], folder),) for row in found.files)
    shape = np.load(files[0][0]).shape
    own = replace(source, features={Mode.RGB: replace(found, files=files, shape=shape)})
    return Network(head(streams[Mode.RGB], AVG_POOL, shape), streams), own


def _pooled_file(file: Path, folder: Path) -> Path:
    target = folder / file.name
    if not target.is_file():
        pooled = over_pairs(np.load(file))[:, None, None]  # (t - 1, 1, 1, D)
        write_atomically(target, lambda stream: np.save(stream, pooled))
    return target
