"""One video through detector, tracker and clip buffers as in the service, with features of frozen I3Ds for each clip.

What a trained output layer would say of every clip is then one multiplication, so that folds, recipes and smoothing
can be compared without running a network again. One npz file a video.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.networks.i3d import AVG_POOL, features
from models.training.config import Mode, TrainConfig
from models.training.frozen_front import Front, load_front
from models.training.run.networks import trainable
from models.weights.start import find_weights, read_start
from pipeline.clips import ClipBuffer, ClipConfig
from pipeline.entities import Clip, Track, TrackState
from pipeline.files import write_atomically
from pipeline.sources.url import SourceUrl
from pipeline.sources.video_source import SourceOptions, VideoSource
from pipeline.tracker import PersonTracker, TrackerConfig
from service.engine import PeopleFinder

FULL_RATE_HZ = 25.0
HOP_S, FIRST_S = 0.64, 0.48  # between clips; of the first, provisional one: the service's defaults
START = 0.3  # detections from it on start a track, as in the service

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Recorded:
    """A network whose features are kept: its clips, and clip → float16 (F,), pooled features averaged over time."""

    name: str
    clips: ClipConfig
    front: Front


def recorded(name: str, config: TrainConfig, weights: Path, further: Sequence[str] = ()) -> Recorded:
    """→ the frozen part of ``config``'s network, which starts from a folder of ``weights``.

    Features are those that its output reads, then those of the endpoints ``further``.
    """
    window, size = config.input.window, config.input.size
    rate_hz = FULL_RATE_HZ / window.speed
    start = read_start(find_weights(config.network.init, weights))
    model = trainable(config).build(Mode.RGB, ("one", "other"), start)
    means = [keras.ops.mean(features(model, name).output, axis=(1, 2, 3)) for name in (AVG_POOL, *further)]
    pooled = keras.ops.concatenate(means, axis=-1) if further else means[0]
    front, _ = load_front(keras.Model(model.input, pooled), (window.length, size, size, 3))
    hop, first = round(HOP_S * rate_hz), round(FIRST_S * rate_hz)
    return Recorded(name, ClipConfig(window.length, hop, rate_hz, first, size=size), front)


def record(video: Path, find_people: PeopleFinder, networks: Sequence[Recorded], target: Path, stride: int = 1) -> None:
    """Every ``stride``-th picture is searched for people; between them tracks coast, as where a machine is slow."""
    tracker, source = PersonTracker(TrackerConfig.starting_at(START)), _opened(video)
    buffers = [ClipBuffer(network.clips) for network in networks]
    kept: Mapping[str, Columns] = {network.name: {} for network in networks}
    times_s: list[float] = []
    boxes: list[tuple[float, ...]] = []
    try:
        for frame in source:
            found = find_people(frame, tracker.expected(frame.time_s)) if frame.index % stride == 0 else None
            tracks = tracker.update(frame, found)
            boxes += list(_rows(len(times_s), tracks))
            times_s.append(frame.time_s)
            for network, buffer in zip(networks, buffers, strict=True):
                for clip in buffer.push(frame, tracks):
                    _keep(kept[network.name], clip, network)
    finally:
        source.stop()
    arrays = {"times_s": np.asarray(times_s), "boxes": np.asarray(boxes, np.float32).reshape(-1, 7)}
    arrays |= {f"{name}.{key}": np.asarray(column) for name, some in kept.items() for key, column in some.items()}
    _write(target, arrays)


def _opened(video: Path) -> VideoSource:
    return VideoSource(SourceUrl.from_path(video), SourceOptions(), lambda *_: None)


def _rows(frame: int, tracks: Sequence[Track]) -> Iterator[tuple[float, ...]]:
    """→ frame, track, x1, y1, x2, y2, coasting_s of everybody who is confirmed."""
    for track in tracks:
        if track.state is TrackState.CONFIRMED:
            yield (frame, track.track_id, *map(float, track.box_xyxy), track.coasting_s)


def _keep(columns: Columns, clip: Clip, network: Recorded) -> None:
    pixels = np.stack(clip.crops).astype(np.float32) / 127.5 - 1
    row = {
        "track_id": clip.track_id,
        "start_s": clip.start_s,
        "end_s": clip.end_s,
        "filled": clip.filled,
        "provisional": clip.provisional,
        "features": network.front(pixels),
    }
    for key, value in row.items():
        columns.setdefault(key, []).append(value)


def _write(target: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # numpy's stub takes no mapping of arrays
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, stream.getvalue())
