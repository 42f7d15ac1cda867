"""The figures of a new detector beside those of its start, and the choice of how far to go from one to the other."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.person_training.card import PersonFigures
from models.person_training.evaluation import Matched
from pipeline.files import write_atomically

CONFIDENCES = (0.1, 0.25, 0.3, 0.4, 0.5, 0.6)
KEPT_CONFIDENCES = (0.1, 0.6)  # pipeline.tracker.TrackerConfig: weak, strong
STATED_CONFIDENCE = 0.25  # of the figures in the card: what ultralytics takes when nothing is said


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen point, how every point did on the held-out pictures (average precision by share), and its scores."""

    share: float
    average_precisions: Mapping[float, float]
    rescoring: tuple[float, float]  # scale and offset of its logits


def choose(matched: Mapping[float, Matched]) -> Choice:
    """The share of the fine-tuned network, above 0, with the best average precision on held-out pictures.

    ``matched`` holds the start as share 0.
    """
    scores = {share: found.at(STATED_CONFIDENCE).average_precision for share, found in matched.items()}
    best = max((share for share in scores if share > 0), key=scores.__getitem__)
    return Choice(best, scores, rescoring(matched[0.0], matched[best]))


def rescoring(start: Matched, tuned: Matched) -> tuple[float, float]:
    """Scale and offset of the logits with which ``tuned`` reports as many detections as ``start`` did.

    Fine-tuning moves confidences as a whole; the tracker's thresholds (``KEPT_CONFIDENCES``: weak and strong) must go
    on meaning what they meant. Both were measured on the same held-out pictures. An order of detections never changes.
    """
    wanted = [_logit(confidence) for confidence in KEPT_CONFIDENCES]
    counts = [int((start.confidences >= confidence).sum()) for confidence in KEPT_CONFIDENCES]
    ordered = np.sort(tuned.confidences)[::-1]
    if counts[1] < 1 or counts[0] <= counts[1] or len(ordered) <= counts[0]:
        return 1.0, 0.0  # too few detections to tell
    low, high = (_logit(float(ordered[count - 1] + ordered[count]) / 2) for count in counts)
    if high - low < 1e-3:
        return 1.0, 0.0
    scale = (wanted[1] - wanted[0]) / (high - low)
    return scale, wanted[0] - scale * low


def _logit(probability: float) -> float:
    inside = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(inside / (1 - inside))


def figures(matched: Matched, image_size: int, confidence: float = STATED_CONFIDENCE) -> PersonFigures:
    """What the card says, rounded to four digits."""
    score = matched.at(confidence)
    return PersonFigures(
        image_size=image_size,
        confidence=confidence,
        recall=round(score.recall, 4),
        precision=round(score.precision, 4),
        average_precision=round(score.average_precision, 4),
        people=score.people,
    )


def table(rows: Mapping[str, Matched]) -> str:
    """Average precision, and recall/precision at several confidences; one line a network."""
    head = f"{'':34}   AP  " + "".join(f"{f'{confidence:.2f}':>13}" for confidence in CONFIDENCES)
    lines = [head]
    for name, matched in rows.items():
        cells = "".join(f"  {matched.at(c).recall:.3f}/{matched.at(c).precision:.3f}" for c in CONFIDENCES)
        lines.append(f"{name:34} {matched.at(0.5).average_precision:.4f}{cells}")
    return "\n".join(lines)


def write_figures(rows: Mapping[str, Matched], path: Path) -> None:
    """The same as JSON: name → average precision and, by confidence, recall and precision."""
    content = {
        name: {
            "people": matched.people,
            "average_precision": round(matched.at(0.5).average_precision, 4),
            "at": {
                str(c): {"recall": round(matched.at(c).recall, 4), "precision": round(matched.at(c).precision, 4)}
                for c in CONFIDENCES
            },
        }
        for name, matched in rows.items()
    }
    write_atomically(path, json.dumps(content, indent=2) + "\n")
