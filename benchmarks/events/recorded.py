"""The folds' answers in a file small enough to be committed: what a test plays through the smoother in seconds.

Kept of each video: its kind, source and length, who was in view from when to when, and the clips with their scores
after the fold's temperature, with what boxes say beside the network (four decimals). No pictures, no boxes, no names.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.evaluation.videos.event_curve import Watched, whole_video
from models.evaluation.videos.replay import Replay
from models.evaluation.videos.run import ClipRun, TrackRun, VideoRun
from pipeline.files import write_atomically

RECORDED = Path(__file__).resolve().parent.parent / "results" / "false_events_scores.json.gz"
_NOWHERE = (0.0, 0.0, 1.0, 1.0)


def write_recorded(path: Path, watched: Sequence[Watched]) -> None:
    """The same bytes for the same answers."""
    rows = [_row(each) for each in watched]
    text = json.dumps({"labels": watched[0].replay.run.labels, "videos": rows}, separators=(",", ":"))
    write_atomically(path, gzip.compress(text.encode(), 9, mtime=0))


def read_recorded(path: Path = RECORDED) -> list[Watched]:
    """Annotated people are left out: whole videos are found or not."""
    content = json.loads(gzip.decompress(path.read_bytes()))
    return [_watched(tuple(content["labels"]), row) for row in content["videos"]]


def _row(watched: Watched) -> dict[str, Any]:
    run = watched.replay.run
    return {
        "group": watched.group,
        "kind": watched.kind,
        "times": [round(time_s, 4) for time_s in (run.times_s[0], run.times_s[-1])],
        "frames": len(run.times_s),
        "tracks": [[track.track_id, track.frames[0], track.frames[-1]] for track in run.tracks],
        "clips": [
            [
                clip.track_id,
                round(clip.start_s, 4),
                round(clip.end_s, 4),
                int(clip.provisional),
                *(round(chance, 4) for chance in clip.probabilities),
            ]
            for clip in run.clips
        ],
    }


def _watched(labels: tuple[str, ...], row: dict[str, Any]) -> Watched:
    times = np.linspace(row["times"][0], row["times"][1], row["frames"]).round(4).tolist()
    run = VideoRun(
        video="recorded",
        model="recorded",
        labels=labels,
        size_hw=(1, 1),
        frame_numbers=tuple(range(1, row["frames"] + 1)),
        times_s=tuple(times),
        tracks=tuple(_track(*track) for track in row["tracks"]),
        clips=tuple(_clip(*clip) for clip in row["clips"]),
        events=(),
    )
    return Watched(Replay(run), row["group"], row["kind"], shown=() if row["kind"] else whole_video(run))


def _track(track_id: int, first: int, last: int) -> TrackRun:
    count = last - first + 1
    return TrackRun(
        track_id=track_id,
        frames=tuple(range(first, last + 1)),
        boxes_xyxy=(_NOWHERE,) * count,
        coasting_s=(0.0,) * count,
        shown=(-1,) * count,
        confidence=(0.0,) * count,
    )


def _clip(track_id: int, start_s: float, end_s: float, provisional: int, *probabilities: float) -> ClipRun:
    return ClipRun(
        track_id=track_id,
        start_s=start_s,
        end_s=end_s,
        filled=1,
        provisional=bool(provisional),
        probabilities=probabilities,
    )
