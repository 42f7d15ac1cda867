"""What the serving pipeline said about one video, frame by frame, as one JSON file: made once, studied often.

It holds what was shown (label and confidence of every track in every frame, events) and what that was made from (the
classifier's answer to every clip, with its times), so that smoothing, thresholds and temperature can be studied
again without running a network. ``service/offline/video_evaluation.py`` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.errors import EvaluationError
from pipeline.files import write_atomically

NO_LABEL = -1
Box = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels
Setting = str | int | float | bool | None


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrackRun(_Value):
    """One confirmed track. All columns have one entry for each frame in which the pipeline reported it.

    ``frames`` index the run's ``times_s``. ``shown`` is the label that the service showed, as an index into the run's
    ``labels`` (``NO_LABEL``: none yet), ``confidence`` its smoothed probability. ``coasting_s`` above 0 marks boxes
    that are predicted, not detected.
    """

    track_id: int
    frames: tuple[int, ...]
    boxes_xyxy: tuple[Box, ...]
    coasting_s: tuple[float, ...]
    shown: tuple[int, ...]
    confidence: tuple[float, ...]


class ClipRun(_Value):
    """The classifier's answer to one clip, after the model's temperature. Times are media time in seconds."""

    track_id: int
    start_s: float
    end_s: float
    filled: int  # real crops, before back-and-forth play
    provisional: bool
    probabilities: tuple[float, ...]  # (C,) in the order of the run's labels


class EventRun(_Value):
    """One event of the service, from its start to its end; ``confidence`` is the highest that it reached.

    ``told_s``: time of the frame after which the service first spoke of it; None in runs of older versions.
    """

    track_id: int
    action: str
    start_s: float
    end_s: float
    confidence: float
    told_s: float | None = None


class VideoRun(_Value):
    """One video through the pipeline. ``frame_numbers`` count decoded pictures from 1, as MOTChallenge files do."""

    format_version: Literal[1] = 1
    video: str  # file name without its suffix
    model: str
    labels: tuple[str, ...]
    temperature: float = 1.0  # by which the logits behind the clips' probabilities were divided
    settings: Mapping[str, Setting] = {}  # all that the outcome depends on; a change means: run again
    size_hw: tuple[int, int]
    frame_numbers: tuple[int, ...]
    times_s: tuple[float, ...]
    tracks: tuple[TrackRun, ...]
    clips: tuple[ClipRun, ...]
    events: tuple[EventRun, ...]
    problem: str | None = None  # why the video could not be read to its end
    seconds: float = Field(default=0.0, ge=0)  # wall-clock time that the run took

    @model_validator(mode="after")
    def _consistent(self) -> VideoRun:
        if len(self.frame_numbers) != len(self.times_s):
            raise ValueError(f"{len(self.frame_numbers)} frame numbers, but {len(self.times_s)} times")
        for track in self.tracks:
            columns = (track.boxes_xyxy, track.coasting_s, track.shown, track.confidence)
            if any(len(column) != len(track.frames) for column in columns):
                raise ValueError(f"track {track.track_id} has columns of different lengths")
        if any(len(clip.probabilities) != len(self.labels) for clip in self.clips):
            raise ValueError(f"a clip has not {len(self.labels)} probabilities")
        return self

    def clips_of(self, track_id: int) -> tuple[ClipRun, ...]:
        return tuple(clip for clip in self.clips if clip.track_id == track_id)


def write_video_run(path: Path, run: VideoRun) -> None:
    """Write one JSON file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, run.model_dump_json() + "\n")


def read_video_run(path: Path) -> VideoRun:
    """Raises EvaluationError naming the file when it is missing or damaged."""
    try:
        return VideoRun.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise EvaluationError(f"{path} cannot be read as the run of a video: {error}") from error


def read_video_runs(folder: Path) -> list[VideoRun]:
    """Every ``*.json`` of a folder, by name. Raises EvaluationError when there is none or one is damaged."""
    runs = [read_video_run(path) for path in sorted(folder.glob("*.json"))]
    if not runs:
        raise EvaluationError(f"{folder} holds no run of a video (*.json)")
    return runs


def probabilities(clips: tuple[ClipRun, ...], classes: int) -> NDArray[np.float64]:
    """→ float64 (N, C), one row a clip."""
    return np.asarray([clip.probabilities for clip in clips], np.float64).reshape(-1, classes)
