"""The figures of a new detector beside those of its start, and the choice of how far to go from one to the other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.data.manifest import write_atomically
from models.person_training.card import PersonFigures
from models.person_training.evaluation import Matched

CONFIDENCES = (0.1, 0.25, 0.3, 0.4, 0.5, 0.6)
STATED_CONFIDENCE = 0.25  # of the figures in the card: what ultralytics takes when nothing is said


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen point and how every point did on the held-out pictures: average precision by share."""

    share: float
    average_precisions: Mapping[float, float]


def choose(matched: Mapping[float, Matched]) -> Choice:
    """The share of the fine-tuned network, above 0, with the best average precision on held-out pictures."""
    scores = {share: found.at(STATED_CONFIDENCE).average_precision for share, found in matched.items()}
    return Choice(max((share for share in scores if share > 0), key=scores.__getitem__), scores)


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
