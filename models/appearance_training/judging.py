"""How well vectors tell people apart: is a person's nearest crop of another moment that person's?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.appearance_training.crops import Crops
from pipeline.entities import Floats


@dataclass(frozen=True, slots=True)
class Told:
    """``right``: share of crops whose nearest crop in another frame of the video is the same track's. ``same`` and
    ``other``: mean cosine of two crops of one track, and of two people in one frame."""

    right: float
    same: float
    other: float
    crops: int


def tell(features: Floats, crops: Crops) -> Told:
    """(N, D) of unit length. Only crops count whose person is in another frame and who has company in the video."""
    right: list[float] = []
    same: list[float] = []
    other: list[float] = []
    for video in np.unique(crops.videos):
        of = np.flatnonzero(crops.videos == video)
        cosine = features[of] @ features[of].T
        people, frames = crops.people[of], crops.frames[of]
        mine, elsewhere = people[:, None] == people[None], frames[:, None] != frames[None]
        asked = (mine & elsewhere).any(axis=1) & (~mine & elsewhere).any(axis=1)
        nearest = np.where(elsewhere, cosine, -2.0).argmax(axis=1)
        right += (people[nearest] == people)[asked].tolist()
        same += cosine[mine & elsewhere].tolist()
        other += cosine[~mine & ~elsewhere].tolist()
    return Told(_mean(right), _mean(same), _mean(other), len(right))


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
