"""Fight or no fight for each surveillance video, by the peak over its people, by the network that did not see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.events.videos import FIGHTS, SURVEILLANCE, Video
from models.data.manifest import Split
from models.evaluation.videos.decision import Peak, decide_in_folds
from models.evaluation.videos.run import VideoRun
from models.evaluation.videos.scores import peak

READINGS = {"smoothed": True, "clips": False}  # scores as the service smooths them, and of single clips


def fight_scores(runs: Mapping[Video, VideoRun], label: str, fold_of: Callable[[str], int]) -> dict[str, Any]:
    """→ by key of ``READINGS`` a ``VideoDecision`` without its curve; None where no such video was run.

    ``fold_of``: a source's fold, for which the threshold is chosen on all others.
    """
    judged = {video: run for video, run in runs.items() if video.kind in (FIGHTS, SURVEILLANCE)}
    folds = [fold_of(video.group) for video in judged]
    found = {}
    for name, smoothed in READINGS.items():
        peaks = [_peak(video, run, label, smoothed) for video, run in judged.items()]
        decision = decide_in_folds(peaks, folds, label, smoothed)
        found[name] = None if decision is None else decision.model_dump(exclude={"roc"})
    return found


def _peak(video: Video, run: VideoRun, label: str, smoothed: bool) -> Peak:
    return Peak(video.name, video.group, Split.VAL, video.kind == FIGHTS, peak(run, label, smoothed=smoothed))
