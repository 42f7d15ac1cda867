"""What a model answers to the clips of a data set: logits, one row a clip, with the truth beside them.

Answers are noted on disk batch by batch, so an interrupted run goes on where it stopped; pixels of one batch are held
at a time. Several views of a clip (its mirror image, several windows of a longer one) are averaged as logits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.data.batches.clip_window import WindowConfig, WindowMode, window_indices
from models.data.clip_file import Clip, read_clip
from models.data.journal import Journal, stamp_of
from models.data.manifest import ClipRecord, Dataset
from models.errors import DatasetError, EvaluationError
from models.evaluation.figures.metrics import Floats, Ints
from models.weights.cards import MODEL_FILE, ModelCard, ModelInput

NEVER_SCORED = ("", "Unclear")
_WINDOWS = {
    1: (WindowMode.CENTRE,),
    2: (WindowMode.FIRST, WindowMode.LAST),
    3: (WindowMode.FIRST, WindowMode.CENTRE, WindowMode.LAST),
}
Progress = Callable[[int, int], None]  # clips done, clips in all


class Classifier(Protocol):
    """The part of ``models.classifier.ActionClassifier`` that evaluation needs."""

    card: ModelCard
    labels: tuple[str, ...]

    @property
    def preferred_batch(self) -> int: ...

    def logits(self, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, T, H, W, 3) RGB → float32 (N, C)."""


@dataclass(frozen=True, slots=True)
class Views:
    """How each clip is shown. ``windows`` 1 (the middle), 2 (first, last) or 3; ``flip`` adds each mirror image.

    ``real``: at most so many pictures, played back and forth, as in the service's provisional clips.
    """

    windows: int = 1
    flip: bool = False
    real: int | None = None

    def __post_init__(self) -> None:
        if self.windows not in _WINDOWS:
            raise EvaluationError(f"windows must be 1, 2 or 3, got {self.windows}")

    def modes(self) -> tuple[WindowMode, ...]:
        return _WINDOWS[self.windows]


@dataclass(frozen=True, slots=True)
class Predictions:
    """``logits`` float64 (N, C) in the order of ``labels``; ``targets`` int (N,) indices of the same order."""

    labels: tuple[str, ...]
    records: tuple[ClipRecord, ...]
    logits: Floats
    targets: Ints

    @property
    def groups(self) -> list[str]:
        return [record.group for record in self.records]

    def __len__(self) -> int:
        return len(self.records)

    def only(self, labels: Sequence[str]) -> Predictions:
        """The clips and the logits of these classes alone: the decision is made among them.

        Raises EvaluationError when a label is unknown or no clip remains.
        """
        unknown = [label for label in labels if label not in self.labels]
        if unknown or not labels:
            raise EvaluationError(f"unknown classes {', '.join(unknown)}; the model has {', '.join(self.labels)}")
        columns = [self.labels.index(label) for label in labels]
        rows = np.flatnonzero(np.isin(self.targets, columns))
        if len(rows) == 0:
            raise EvaluationError(f"no clip is labelled {' or '.join(labels)}")
        targets = np.asarray([columns.index(self.targets[row]) for row in rows], np.int64)
        return Predictions(
            tuple(labels), tuple(self.records[row] for row in rows), self.logits[rows][:, columns], targets
        )

    def of(self, records: Sequence[ClipRecord]) -> Predictions:
        """The answers to these clips, in the order that they have here."""
        wanted = {record.path for record in records}
        rows = [row for row, record in enumerate(self.records) if record.path in wanted]
        return replace(
            self,
            records=tuple(self.records[row] for row in rows),
            logits=self.logits[rows],
            targets=self.targets[rows],
        )

    def plus(self, other: Predictions) -> Predictions:
        """Both models' logits added, as RGB and flow streams are fused. Raises EvaluationError for other clips."""
        if self.labels != other.labels or self.records != other.records:
            raise EvaluationError("only answers to the same clips, with the same classes, can be fused")
        return replace(self, logits=self.logits + other.logits)


def predict(
    classifier: Classifier,
    dataset: Dataset,
    records: Sequence[ClipRecord],
    views: Views = Views(),
    journal: Path | None = None,
    progress: Progress | None = None,
) -> Predictions:
    """The model's answers to ``records``; those labelled ``NEVER_SCORED`` are left out.

    ``journal``: file that keeps answers between runs. Raises EvaluationError before any work when the model lacks
    classes, takes other clips than the data set holds, or files are missing, and afterwards naming every clip that
    cannot be decoded.
    """
    scored = tuple(record for record in records if record.label not in NEVER_SCORED)
    _check(classifier, dataset, scored)
    known = {label: index for index, label in enumerate(classifier.labels)}
    answers: dict[Path, list[float]] = {}
    with ExitStack() as stack:
        notes = stack.enter_context(Journal(journal, _identity(classifier, views), restart=True)) if journal else None
        _recall(notes, dataset, scored, answers)
        waiting = [record for record in scored if record.path not in answers]
        for batch in _answered(classifier, dataset, waiting, views):
            for record, logits in batch:
                answers[record.path] = logits
                if notes is not None:
                    notes.note(_key(record, dataset), stamp_of(record.path), logits=logits)
            if progress is not None:
                progress(len(answers), len(scored))
    rows = np.asarray([answers[record.path] for record in scored], np.float64)
    return Predictions(classifier.labels, scored, rows, np.asarray([known[r.label] for r in scored], np.int64))


def clip_views(clip: Clip, form: ModelInput, rate_hz: float, views: Views) -> list[Clip]:
    """uint8 (T, S, S, 3) at ``rate_hz`` → one uint8 (frames, height, width, 3) a view, none of them twice."""
    speed = rate_hz / form.rate_hz
    windows = [
        window_indices(len(clip), WindowConfig(form.frames, mode, speed, views.real), None) for mode in views.modes()
    ]
    distinct = list({tuple(indices): indices for indices in windows}.values())
    sized = _resized(clip, form)
    shown = [sized[indices] for indices in distinct]
    return [*shown, *(view[:, :, ::-1] for view in shown)] if views.flip else shown


def _resized(clip: Clip, form: ModelInput) -> Clip:
    height, width = form.height, form.width
    if clip.shape[1:3] == (height, width):
        return clip
    how = cv2.INTER_AREA if clip.shape[1] > height else cv2.INTER_LINEAR
    return np.stack([cv2.resize(picture, (width, height), interpolation=how) for picture in clip])


def _answered(
    classifier: Classifier, dataset: Dataset, records: Sequence[ClipRecord], views: Views
) -> Iterator[list[tuple[ClipRecord, list[float]]]]:
    """Batch by batch: each record with its averaged logits. Undecodable clips are told of together at the end."""
    broken: list[str] = []
    held: list[tuple[ClipRecord, list[Clip]]] = []
    for record in records:
        try:
            clip = read_clip(record.path)
            held.append((record, clip_views(clip, classifier.card.input, dataset.info.input.rate_hz, views)))
        except DatasetError as error:
            broken.append(str(error))
        if sum(len(shown) for _, shown in held) >= classifier.preferred_batch:
            yield _classified(classifier, held)
            held = []
    if held:
        yield _classified(classifier, held)
    if broken:
        raise EvaluationError(f"{len(broken)} clips cannot be read: " + "; ".join(broken))


def _classified(
    classifier: Classifier, held: Sequence[tuple[ClipRecord, list[Clip]]]
) -> list[tuple[ClipRecord, list[float]]]:
    shown = np.stack([view for _, views in held for view in views])
    limit = classifier.preferred_batch
    logits = np.concatenate([classifier.logits(shown[at : at + limit]) for at in range(0, len(shown), limit)])
    answers, at = [], 0
    for record, views in held:
        mean = logits[at : at + len(views)].mean(axis=0)
        answers.append((record, [float(f"{value:.7g}") for value in mean]))
        at += len(views)
    return answers


def _check(classifier: Classifier, dataset: Dataset, records: Sequence[ClipRecord]) -> None:
    """Raises EvaluationError with everything that is wrong at once."""
    problems = []
    missing = sorted({record.label for record in records} - set(classifier.labels))
    if missing:
        have = ", ".join(classifier.labels[:20]) + (", …" if len(classifier.labels) > 20 else "")
        problems.append(f"the model has no class {', '.join(missing)}; it has {have}")
    if not records:
        problems.append(f"{dataset.folder} has no labelled clip in this split")
    if classifier.card.input.kind == "scene":
        problems.append("the model sees whole scenes, the data set holds crops of people: evaluate it on videos")
    elif abs(dataset.info.input.margin - classifier.card.input.margin) > 1e-6:
        both = f"{dataset.info.input.margin:g}, the model was trained with {classifier.card.input.margin:g}"
        problems.append(f"the data set's crops have a margin of {both}")
    gone = [str(record.path) for record in records if not record.path.exists()]
    if gone:
        problems.append(f"{len(gone)} clips are missing: {', '.join(gone)}")
    if problems:
        raise EvaluationError("; ".join(problems))


def _identity(classifier: Classifier, views: Views) -> dict[str, Any]:
    return {"model_sha256": classifier.card.sha256[MODEL_FILE], "labels": list(classifier.labels), **asdict(views)}


def _recall(
    notes: Journal | None, dataset: Dataset, records: Sequence[ClipRecord], answers: dict[Path, list[float]]
) -> None:
    for record in records if notes is not None else ():
        entry = notes.found(_key(record, dataset), stamp_of(record.path)) if notes is not None else None
        if entry is not None:
            answers[record.path] = entry["logits"]


def _key(record: ClipRecord, dataset: Dataset) -> str:
    return record.path.relative_to(dataset.folder).as_posix()
