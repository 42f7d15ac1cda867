"""How close an export comes to its network, and how fast it is: both answer the same real clips, in turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.errors import ExportError
from models.exports.parity_clips import ParityClip, ParityClips
from models.runtimes.host import describe_host
from models.runtimes.runner import Floats, Runner
from models.weights.export_record import Parity

Progress = Callable[[int, int], None]  # clips done, clips in all


@dataclass(frozen=True, slots=True)
class _Answers:
    """Both networks' answers to one clip, float32 (C,), and how long each took."""

    reference: Floats
    export: Floats
    reference_s: float
    export_s: float
    target: int | None


def measure(reference: Runner, export: Runner, clips: ParityClips, progress: Progress | None = None) -> Parity:
    """→ the export held to the reference on every clip.

    Raises ValueError when there is no clip, ExportError when an answer is no number.

    Which of the two goes first changes from clip to clip, so that neither always finds warm caches.
    """
    if len(clips) == 0:
        raise ValueError("expected at least one clip")
    answers: list[_Answers] = []
    for number, clip in enumerate(clips):
        answers.append(_compare(reference, export, clip, export_first=bool(number % 2)))
        if progress is not None:
            progress(number + 1, len(clips))
    return _summary(answers, clips.source, reference.description, export.description)


def _compare(reference: Runner, export: Runner, clip: ParityClip, *, export_first: bool) -> _Answers:
    pair = (export, reference) if export_first else (reference, export)
    first, second = (_timed(runner, clip) for runner in pair)
    (mine, mine_s), (theirs, theirs_s) = (first, second) if export_first else (second, first)
    return _Answers(theirs, mine, theirs_s, mine_s, clip.target)


def _timed(runner: Runner, clip: ParityClip) -> tuple[Floats, float]:
    boxes = None if clip.box is None else np.asarray(clip.box, np.float32)[None]
    start = time.perf_counter()
    logits = runner(clip.pixels[None], boxes)[0]
    return logits, time.perf_counter() - start


def _summary(answers: list[_Answers], source: str, reference: str, export: str) -> Parity:
    expected = np.stack([each.reference for each in answers])  # (N, C)
    got = np.stack([each.export for each in answers])
    if not np.isfinite(got).all():
        raise ExportError(f"{export} gives logits that are no finite numbers")
    difference = np.abs(got - expected)
    labelled = [index for index, each in enumerate(answers) if each.target is not None]
    targets = np.array([answers[index].target for index in labelled], np.int64)
    best, best_expected = got.argmax(1), expected.argmax(1)
    return Parity(
        clips=len(answers),
        source=source,
        max_logit_difference=float(difference.max()),
        mean_logit_difference=float(difference.mean()),
        top1_agreement=float((best == best_expected).mean()),
        accuracy=float((best[labelled] == targets).mean()) if labelled else None,
        reference_accuracy=float((best_expected[labelled] == targets).mean()) if labelled else None,
        latency_ms=1e3 * float(np.median([each.export_s for each in answers])),
        reference_latency_ms=1e3 * float(np.median([each.reference_s for each in answers])),
        runner=export,
        reference=reference,
        host=describe_host(),
    )
