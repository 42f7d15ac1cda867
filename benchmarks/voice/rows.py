"""The voices, what each is made of, and which of them speak together in each row of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.voice.networks import ENDPOINTS
from benchmarks.voice.regression import regression, trees
from benchmarks.voice.temporal import temporal
from benchmarks.voice.views import View, pair_boxes, still_boxes

Learner = Callable[[dict[int, float]], Any]
PIXELS = regression(1e-3)  # as cautious as the teacher of models/configs/surveillance_light.py
GEOMETRY = regression(3e-2)  # as ``models.motion_training``

NEAR, WIDE, PAIR, STILL, SCENE, LARGE, SKELETON = (
    "near-32x112",
    "wide-32x112",
    "pair-32x112",
    "still-32x112",
    "scene-32x112",
    "near-64x224",
    "skeleton",
)
VIEWS: Mapping[str, View] = {
    NEAR: View(mirror=True, ends=True),
    WIDE: View(margin=0.6),
    PAIR: View(pair_boxes, mirror=True),
    STILL: View(still_boxes),
    SCENE: View(None),
    LARGE: View(size=224, length=64, speed=1.0),
    SKELETON: View(size=224, length=36, skeleton=True),
}


@dataclass(frozen=True, slots=True)
class Voice:
    """Features of ``views`` behind one another, and with ``motion`` or ``joints`` those of boxes and skeletons, as
    one or several ``learners`` read them. ``in_time``: joints one after another, not their statistics. ``looks``: all
    rows of a view (mirror image, further windows), not the first alone, for learning and for the answer. ``head``: the
    regression that ships, with the looks it learns from.
    """

    views: Sequence[str] = ()
    learners: Sequence[Learner] = (PIXELS,)
    endpoints: Sequence[str] = ENDPOINTS
    looks: bool = False
    motion: bool = False
    joints: bool = False
    in_time: bool = False
    head: bool = False


VOICES: Mapping[str, Voice] = {
    "near": Voice((NEAR,)),
    "near-5c": Voice((NEAR,), endpoints=("Mixed_5c",)),
    "near-looks": Voice((NEAR,), looks=True),
    "large": Voice((LARGE,)),
    "wide": Voice((WIDE,)),
    "pair": Voice((PAIR,)),
    "pair-looks": Voice((PAIR,), looks=True),
    "still": Voice((STILL,)),
    "scene": Voice((SCENE,)),
    "near-wide": Voice((NEAR, WIDE)),
    "near-scene": Voice((NEAR, SCENE)),
    "head": Voice(head=True),
    "motion": Voice(learners=(GEOMETRY, trees), motion=True),
    "skeleton": Voice(learners=(GEOMETRY, trees), joints=True),
    "skeleton-network": Voice(learners=(temporal,), joints=True, in_time=True),
    "geometry": Voice(learners=(GEOMETRY, trees), motion=True, joints=True),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: the ``voices`` that speak together."""

    part: str
    label: str
    voices: Sequence[str]


BASE = "near"
ROWS: Mapping[str, Row] = {
    "near": Row("Pixels alone", "the person, 32×112², margin 0.2", ("near",)),
    "near-5c": Row("Pixels alone", "its last depth alone (Mixed_5c)", ("near-5c",)),
    "near-looks": Row("Pixels alone", "up to three windows and mirror images averaged", ("near-looks",)),
    "large": Row("Pixels alone", "64×224²", ("large",)),
    "large-near": Row("Pixels alone", "both sizes averaged", ("large", "near-looks")),
    "wide": Row("Pixels alone", "margin 0.6", ("wide",)),
    "pair": Row("Pixels alone", "both of a pair in contact in one square", ("pair-looks",)),
    "still": Row("Pixels alone", "a still square around the whole way", ("still",)),
    "scene": Row("Pixels alone", "the whole picture", ("scene",)),
    "and-wide": Row("Further pixels", "and margin 0.6", ("near-looks", "wide")),
    "wide-features": Row("Further pixels", "features of margin 0.6 behind its own", ("near-wide",)),
    "and-pair": Row("Further pixels", "and pairs", ("near-looks", "pair-looks")),
    "and-still": Row("Further pixels", "and the still square", ("near-looks", "still")),
    "and-scene": Row("Further pixels", "and the whole picture", ("near-looks", "scene")),
    "scene-features": Row("Further pixels", "features of the whole picture behind its own", ("near-scene",)),
    "head": Row("No pixels", "boxes: the regression that ships (`motion.json`)", ("head",)),
    "motion": Row("No pixels", "boxes: regression and trees", ("motion",)),
    "skeleton": Row("No pixels", "skeletons: regression and trees", ("skeleton",)),
    "skeleton-network": Row("No pixels", "skeletons: temporal network", ("skeleton-network",)),
    "geometry": Row("No pixels", "boxes and skeletons: regression and trees", ("geometry",)),
    "geometry-network": Row("No pixels", "boxes, and skeletons' temporal network", ("motion", "skeleton-network")),
    "and-head": Row("Both", "pixels and `motion.json`", ("near-looks", "head")),
    "and-motion": Row("Both", "pixels and boxes", ("near-looks", "motion")),
    "and-skeleton": Row("Both", "pixels and skeletons", ("near-looks", "skeleton")),
    "and-geometry": Row("Both", "pixels, boxes and skeletons", ("near-looks", "geometry")),
    "and-skeleton-network": Row("Both", "pixels and skeletons' temporal network", ("near-looks", "skeleton-network")),
    "and-geometry-network": Row(
        "Both", "pixels, boxes and skeletons' temporal network", ("near-looks", "motion", "skeleton-network")
    ),
    "still-motion": Row("Both", "pixels, still square and boxes", ("near-looks", "still", "motion")),
    "large-head": Row("Both", "64×224² and `motion.json`", ("large", "head")),
    "large-motion": Row("Both", "64×224², 32×112² and boxes", ("large", "near-looks", "motion")),
    "full": Row("Networks", "`surveillance`", ("full",)),
    "light": Row("Networks", "`surveillance-light`", ("light",)),
    "full-light": Row("Networks", "both averaged", ("full", "light")),
    "full-head": Row("Networks", "`surveillance` and `motion.json`", ("full", "head")),
    "light-head": Row("Networks", "`surveillance-light` and `motion.json`", ("light", "head")),
    "light-skeleton-network": Row(
        "Networks", "`surveillance-light` and skeletons' temporal network", ("light", "skeleton-network")
    ),
    "light-head-network": Row(
        "Networks",
        "`surveillance-light`, `motion.json` and skeletons' temporal network",
        ("light", "head", "skeleton-network"),
    ),
    "all-head": Row("Networks", "both and `motion.json`", ("full", "light", "head")),
    "full-geometry": Row("Networks", "`surveillance`, boxes and skeletons", ("full", "geometry")),
}
