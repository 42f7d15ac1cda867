"""From what a live service says (websocket messages, metrics, samples of its processes) to the columns of the table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from scipy.optimize import linear_sum_assignment

from benchmarks.live_cameras.straight_line import Person, StraightLine
from pipeline.geometry import pairwise_iou

Message = Mapping[str, Any]  # a `tracks` message, see docs/api.md
SETTLED_S = 3.0  # who has been in view for longer should carry a label
SAME_IOU = 0.3  # a live box this close to a person of the straight line is that person
ALIGNING = 40  # messages that decide where in the video a camera is


# -- messages


@dataclass(frozen=True, slots=True)
class Share:
    """``labelled`` of ``boxes``; ``found``: those that a live box lies on at all."""

    boxes: int
    found: int
    labelled: int

    def __add__(self, other: Share) -> Share:
        return Share(self.boxes + other.boxes, self.found + other.found, self.labelled + other.labelled)

    @property
    def of_labelled(self) -> float | None:
        return self.labelled / self.boxes if self.boxes else None

    @property
    def of_found(self) -> float | None:
        return self.found / self.boxes if self.boxes else None


def own_share(messages: Sequence[Message]) -> Share:
    """Boxes whose own ID has been told of for over 3 s. Who gets a new ID again and again is in view for no time here,
    so this flatters a tracker that loses people; ``share`` does not."""
    first: dict[int, float] = {}
    boxes, labelled = 0, 0
    for message in messages:
        for track in message["tracks"]:
            since_s = message["time_s"] - first.setdefault(track["track_id"], message["time_s"])
            if since_s > SETTLED_S:
                boxes += 1
                labelled += bool(track.get("action"))
    return Share(boxes, boxes, labelled)


def share(messages: Sequence[Message], line: StraightLine) -> Share:
    """People whom the straight line has in view for over 3 s, in the frames that one stream told of.

    A person counts as found where a live box lies on them, and as labelled where that box carries a label. Where in the
    video the camera is, is found out anew for each pass, from the boxes themselves.
    """
    total, rest = Share(0, 0, 0), list(messages)
    while rest:
        end_s = rest[0]["time_s"] + line.period_s
        part = [message for message in rest if message["time_s"] < end_s] or rest[:1]
        rest = rest[len(part) :]
        offset = aligned(part, line)
        for message in part:
            total += _share_of(message, [p for p in _people_at(line, message, offset) if p.in_view_s > SETTLED_S])
    return total


def aligned(messages: Sequence[Message], line: StraightLine) -> int:
    """→ frames by which the video is ahead of the messages' media time, where the boxes agree best."""
    told = [message for message in messages if message["tracks"]]
    chosen = told[:: max(1, len(told) // ALIGNING)]
    agreement = [sum(_matched(message, _people_at(line, message, offset)) for message in chosen)
                 for offset in range(len(line.frames))]  # fmt: skip
    return int(np.argmax(agreement))


def _people_at(line: StraightLine, message: Message, offset: int) -> tuple[Person, ...]:
    return line.frames[(round(message["time_s"] * line.rate) + offset) % len(line.frames)]


def _matched(message: Message, people: Sequence[Person]) -> float:
    """→ summed overlap of the best pairs."""
    iou = _overlap(message, people)
    return float(iou.max(axis=1).sum()) if iou.size else 0.0


def _share_of(message: Message, people: Sequence[Person]) -> Share:
    iou = _overlap(message, people)
    pairs = [(p, b) for p, b in zip(*linear_sum_assignment(-iou), strict=True) if iou[p, b] >= SAME_IOU]
    labelled = sum(bool(message["tracks"][b].get("action")) for _, b in pairs)
    return Share(len(people), len(pairs), labelled)


def _overlap(message: Message, people: Sequence[Person]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """→ (people, boxes) intersection over union."""
    ours = np.array([person.box for person in people], np.float32).reshape(-1, 4)
    theirs = np.array([track["box"] for track in message["tracks"]], np.float32).reshape(-1, 4)
    return pairwise_iou(ours, theirs)


def ids(messages: Sequence[Message]) -> int:
    """→ different IDs that one stream told of."""
    return len({track["track_id"] for message in messages for track in message["tracks"]})


def tiers(messages: Sequence[Message]) -> dict[str, float] | None:
    """→ by network, its part of the labelled boxes; None where the labels do not say whose they are."""
    named = Counter(track.get("model") for message in messages for track in message["tracks"] if track.get("action"))
    if not named or None in named:
        return None
    return {str(name): round(count / named.total(), 3) for name, count in named.most_common()}


# -- metrics


Histogram = Mapping[float, float]  # upper bound (seconds) → observations up to it


@dataclass(frozen=True)
class Metrics:
    """What /metrics says at one moment. ``detect_wait``: by stream."""

    clips: float
    detect_wait: Mapping[str, Histogram]


def metrics(text: str) -> Metrics:
    """Reads the exposition of /metrics; what is not there yet counts as nothing."""
    clips, waits = 0.0, dict[str, dict[float, float]]()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "actoscope_inference_clips_classified_total":
                clips += sample.value
            elif sample.name == "actoscope_stage_seconds_bucket" and sample.labels.get("stage") == "detect_wait":
                waits.setdefault(sample.labels["stream"], {})[float(sample.labels["le"])] = sample.value
    return Metrics(clips, waits)


def grown(before: Metrics, after: Metrics) -> Histogram:
    """→ the waits for a detection of all streams in between, cumulative as Prometheus has it."""
    total: dict[float, float] = {}
    for stream, histogram in after.detect_wait.items():
        earlier = before.detect_wait.get(stream, {})
        for bound, upto in histogram.items():
            total[bound] = total.get(bound, 0.0) + upto - earlier.get(bound, 0.0)
    return dict(sorted(total.items()))


def count(histogram: Histogram) -> float:
    return max(histogram.values(), default=0.0)


def quantile(histogram: Histogram, part: float) -> float | None:
    """→ seconds that ``part`` of the observations stay under, straight between the bounds, as Prometheus does.

    Where it lies over the last finite bound, that bound: then it is at least so much. None: nothing was observed.
    """
    wanted, below, lower = part * count(histogram), 0.0, 0.0
    if not wanted:
        return None
    for bound, upto in sorted(histogram.items()):
        if upto >= wanted:
            return lower if math.isinf(bound) else lower + (bound - lower) * (wanted - below) / (upto - below)
        below, lower = upto, bound
    return lower


def percentile(values: Sequence[float], share: int) -> float | None:
    """→ the value that ``share`` per cent of them do not exceed; None without values."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)], 1) if ordered else None
