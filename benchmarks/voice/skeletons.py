"""Skeletons of a person over time, by ../shared/weights/yolov8n-pose, and what can be said of them without pixels.

The network reads 640² pictures. Crops of people are far smaller: nine of them share one picture.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
from numpy.typing import NDArray

from benchmarks.voice.networks import compiled
from benchmarks.voice.views import Clip
from pipeline.motion import RATE_HZ, Doubles

SIDE, CELLS = 640, 3
CELL = SIDE // CELLS  # pixels a side for one crop
SEEN = 0.3  # confidence from which a joint counts
MIRROR = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)  # COCO joints, left for right
SHOULDERS, HIPS, WRISTS, ANKLES = (5, 6), (11, 12), (9, 10), (15, 16)
BENDS = ((5, 7, 9), (6, 8, 10), (11, 13, 15), (12, 14, 16), (5, 11, 13), (6, 12, 14))  # elbows, knees, hips
QUANTILES = (0.1, 0.5, 0.9)
FARTHEST = 4.0  # trunks that a joint is from the hips: one found farther away lies there


def pose_network(model: Path, threads: int) -> Callable[[Clip], NDArray[np.float16]]:
    """→ uint8 (T, S, S, 3) RGB, T a multiple of 9 → float16 (T, 17, 3): x, y in 0..1 of the crop, confidence."""
    request = compiled(ov.Core().read_model(model), threads).create_infer_request()

    def joints(clip: Clip) -> NDArray[np.float16]:
        found = []
        for at in range(0, len(clip), CELLS**2):
            picture = _mosaic(clip[at : at + CELLS**2]).astype(np.float32) / np.float32(255)
            request.infer([np.ascontiguousarray(picture.transpose(2, 0, 1)[None])])
            found += _people(request.get_output_tensor(0).data[0])
        return np.asarray(found, np.float16)

    return joints


def _mosaic(crops: Clip) -> Clip:
    picture = np.full((SIDE, SIDE, 3), 114, np.uint8)
    for number, crop in enumerate(crops):
        top, left = (CELL * place for place in divmod(number, CELLS))
        picture[top : top + CELL, left : left + CELL] = cv2.resize(crop, (CELL, CELL), interpolation=cv2.INTER_AREA)
    return picture


def _people(found: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """(56, N) centre, size, confidence and joints → of each cell the joints of who fills it best; zeros for nobody."""
    centre, confidence, joints = found[:2], found[4], found[5:].reshape(17, 3, -1)
    people = []
    for number in range(CELLS**2):
        top, left = (CELL * place for place in divmod(number, CELLS))
        away = np.hypot((centre[0] - left) / CELL - 0.5, (centre[1] - top) / CELL - 0.5)
        worth = confidence * np.clip(1 - 2 * away, 0, None) * np.minimum(found[3] / CELL, 0.8)
        best = int(worth.argmax())
        person = np.zeros((17, 3), np.float32)
        if worth[best] > 0:
            person = np.asarray((joints[:, :, best] - (left, top, 0)) / (CELL, CELL, 1), np.float32)
        people.append(person)
    return people


def mirrored(joints: Doubles) -> Doubles:
    """(T, 17, 3) → the same person seen in a mirror."""
    turned = joints[:, MIRROR].copy()
    turned[..., 0] = 1 - turned[..., 0]
    return turned


def sequence(joints: Doubles) -> Doubles:
    """(T, 17, 3) → (T · 51,): of each joint x and y against the hips, in trunks, and its confidence, as time goes by;
    all 0 where it was not seen.
    """
    places, hips, _, trunk = _parts(joints)
    usual = [_typical(hips[:, axis], 0.5) for axis in range(2)]
    against = (places - np.where(np.isfinite(hips), hips, usual)[:, None]) / trunk
    seen = np.isfinite(places[..., :1])
    told = np.concatenate([np.clip(against, -FARTHEST, FARTHEST), joints[..., 2:]], axis=-1)
    return np.asarray(np.where(seen, told, 0).ravel())


def statistics(joints: Doubles, speed: float) -> Doubles:
    """(T, 17, 3), every ``speed``-th sample → (F,): posture, angles and movements; 0 where nothing was seen."""
    places, hips, shoulders, trunk = _parts(joints)
    found = [joints[..., 2].mean(axis=0), [float(np.isfinite(hips[:, 0]).mean()), trunk]]
    found += [_posture(places, hips, shoulders, trunk), _movements(places, hips, trunk, RATE_HZ / speed)]
    return np.asarray(np.nan_to_num(np.concatenate([np.ravel(each) for each in found])))


def _parts(joints: Doubles) -> tuple[Doubles, Doubles, Doubles, float]:
    """→ joints that are seen (T, 17, 2), middles of hips and shoulders (T, 2), NaN elsewhere; length of the trunk."""
    places = np.where(joints[..., 2:] >= SEEN, joints[..., :2], np.nan)
    hips, shoulders = (_middle(places[:, list(pair)]) for pair in (HIPS, SHOULDERS))
    return places, hips, shoulders, _typical(np.hypot(*(shoulders - hips).T), 0.25)


def _middle(places: Doubles) -> Doubles:
    """(T, 2, 2) → (T, 2): between both joints, or the one that is seen."""
    there = np.isfinite(places[..., 0])
    count = there.sum(axis=1)
    middle = np.nansum(places, axis=1) / np.maximum(count, 1)[:, None]
    return np.where(count[:, None] > 0, middle, np.nan)


def _typical(values: Doubles, otherwise: float) -> float:
    there = values[np.isfinite(values)]
    return max(0.05, float(np.median(there))) if len(there) else otherwise


def _posture(places: Doubles, hips: Doubles, shoulders: Doubles, trunk: float) -> list[float]:
    """Bends of joints, lean of the trunk, where hands and feet are."""
    found: list[float] = []
    for bend in BENDS:
        found += _spread(_angle(*(places[:, joint] for joint in bend)))
    lean = shoulders - hips
    found += _spread(np.abs(np.arctan2(lean[:, 0], -lean[:, 1])))
    feet = np.abs(places[:, ANKLES[0]] - places[:, ANKLES[1]]) / trunk
    found += [*_spread(feet[:, 0]), *_spread(feet[:, 1])]
    for joint in (*WRISTS, *ANKLES):
        found += _spread((places[:, joint, 1] - hips[:, 1]) / trunk)
    for joint in WRISTS:
        found += _spread(np.abs(places[:, joint, 0] - shoulders[:, 0]) / trunk)
    return found


def _angle(first: Doubles, corner: Doubles, last: Doubles) -> Doubles:
    a, b = first - corner, last - corner
    size = np.hypot(*a.T) * np.hypot(*b.T)
    return np.asarray(np.arccos(np.clip((a * b).sum(axis=1) / np.maximum(size, 1e-6), -1, 1)))


def _movements(places: Doubles, hips: Doubles, trunk: float, rate_hz: float) -> list[float]:
    """Speeds of joints against the hips, in trunks a second."""
    moved = np.diff(places - hips[:, None], axis=0) * (rate_hz / trunk)
    speeds = np.hypot(moved[..., 0], moved[..., 1])  # (T - 1, 17)
    return [value for joint in range(speeds.shape[1]) if joint > 4 or joint == 0 for value in _spread(speeds[:, joint])]


def _spread(values: Doubles) -> list[float]:
    there = values[np.isfinite(values)]
    return [float(value) for value in np.quantile(there, QUANTILES)] if len(there) else [0.0] * len(QUANTILES)
