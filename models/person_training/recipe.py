"""The whole way to a person detector, from videos to a weights folder, in steps that an interrupted run takes up again.

Finished steps leave their result in the working folder: frames, label files, the fine-tuned network, the figures.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.data.manifest import Split
from models.person_training import yolo
from models.person_training.evaluation import Matched, TruePeople, match
from models.person_training.pictures import collect_votes, labelled, write_pictures
from models.person_training.surgery import between, everybody, only_person, rescored
from models.person_training.teacher import RULES, Teacher, View
from models.person_training.videos import Picture, find_videos, store_frames
from pipeline.detector import DetectorConfig, PersonDetector
from pipeline.entities import Image
from pipeline.files import file_sha256, write_atomically

MEASURED_FROM = 0.01  # confidence of the weakest detection in an average precision
Say = Callable[[str], None]
Pictures = Callable[[], Iterable[tuple[Image, TruePeople]]]


@dataclass(frozen=True)
class PersonRecipe:
    """What is made from what. ``witness`` is a second detection network all of whose classes are people.

    ``shares`` are the points tried between start (0) and fine-tuned network (1).
    """

    data: Path
    start: Path
    work: Path
    extra: Sequence[Path] = ()
    witness: Path | None = None
    seconds_between: float = 0.7
    frames_per_video: int = 40
    teacher_sizes: Sequence[int] = (640, 960, 1280)
    tuning: yolo.FineTuning = field(default_factory=yolo.FineTuning)
    shares: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0)
    image_size: int = 640


def make_pictures(recipe: PersonRecipe, say: Say) -> Path:
    """Frames and their labels → the folder of labelled pictures; nothing is done when it is whole already."""
    videos = find_videos(recipe.data, recipe.extra)
    seen_by = _key(recipe.start, recipe.witness, recipe.teacher_sizes)
    chosen = [(video.name, video.split.value) for video in videos]
    target = recipe.work / f"pictures-{_key(seen_by, RULES, recipe.seconds_between, recipe.frames_per_video, chosen)}"
    if target.is_dir():
        return target
    pictures: list[Picture] = []
    for video in videos:
        folder = recipe.work / "frames" / video.split.value
        pictures += store_frames(video, folder, recipe.seconds_between, recipe.frames_per_video)
    say(f"{len(pictures)} frames of {len(videos)} videos")
    votes = recipe.work / f"votes-{seen_by}"
    collect_votes(pictures, make_teacher(recipe), votes, _Counter(len(pictures), say))
    part = recipe.work / "pictures.part"
    shutil.rmtree(part, ignore_errors=True)
    say(f"{write_pictures(pictures, votes, part)} people in them")
    part.rename(target)
    return target


class _Counter:
    """Says every fiftieth picture."""

    def __init__(self, total: int, say: Say) -> None:
        self._count, self._total, self._say = 0, total, say

    def __call__(self, _: Path) -> None:
        self._count += 1
        if self._count % 50 == 0:
            self._say(f"looked at {self._count} of {self._total}")


def make_teacher(recipe: PersonRecipe) -> Teacher:
    """The start network at several sizes, mirrored at the largest; the witness at the middle one."""
    start = one_class_start(recipe)
    main = [View(_detector(start, size, recipe), mirrored=size == 1280) for size in recipe.teacher_sizes]
    if recipe.witness is None:
        return Teacher(main)
    path = recipe.work / f"witness-{_key(recipe.witness)}.pt"
    if not path.is_file():
        yolo.write_network(everybody(yolo.read_network(recipe.witness)), path, "a witness for labels")
    return Teacher(main, [View(_detector(path, 960, recipe))])


def one_class_start(recipe: PersonRecipe) -> Path:
    """The start network reduced to the class person, in the working folder."""
    path = recipe.work / f"start-{_key(recipe.start)}.pt"
    if not path.is_file():
        yolo.write_network(only_person(yolo.read_network(recipe.start)), path, f"{recipe.start.name}, person only")
    return path


def train(recipe: PersonRecipe, pictures: Path, say: Say) -> Path:
    """Fine-tune the one-class start → the file of the fine-tuned network; kept when it is there already."""
    name = f"tuned-{_key(recipe.start, recipe.tuning)}"
    path = recipe.work / f"{name}.pt"
    if not path.is_file():
        start = yolo.read_network(one_class_start(recipe))
        tuned = yolo.fine_tune(start, pictures, recipe.work / name, recipe.tuning, say)
        yolo.write_network(tuned, path, "fine-tuned, not mixed")
    return path


def mixtures(recipe: PersonRecipe, tuned: Path) -> dict[float, Path]:
    """The networks between start and ``tuned``, one file for each of ``shares``; the start always."""
    one, other = yolo.read_network(one_class_start(recipe)), yolo.read_network(tuned)
    files = {0.0: one_class_start(recipe)}
    for share in sorted(set(recipe.shares) - {0.0}):
        path = recipe.work / "mixtures" / f"person-{round(100 * share):03d}.pt"
        yolo.write_network(between(one, other, share), path, f"{share:.2f} of the way from start to fine-tuned")
        files[share] = path
    return files


def with_old_confidences(recipe: PersonRecipe, network: Path, rescoring: tuple[float, float]) -> Path:
    """The chosen network with its logits scaled and moved (``models.person_training.report.rescoring``)."""
    path = recipe.work / "mixtures" / "person-chosen.pt"
    yolo.write_network(rescored(yolo.read_network(network), *rescoring), path, "weights/person of Actoscope")
    return path


def _key(*parts: object) -> str:
    """A short name for what a step depends on, so that another start or setting does not meet old results."""
    texts = [file_sha256(part) if isinstance(part, Path) else repr(part) for part in parts]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8]


def measure(network: Path, name: str, pictures: Pictures, recipe: PersonRecipe) -> Matched:
    """Everything the network finds at the serving size, by the serving code (OpenVINO on a CPU).

    What was measured once on the pictures called ``name`` is kept in the working folder.
    """
    path = recipe.work / "measured" / f"{_key(network, name, recipe.image_size, MEASURED_FROM)}.npz"
    if path.is_file():
        with np.load(path) as stored:
            return Matched(stored["confidences"], stored["right"], int(stored["people"]))
    detector = _detector(network, recipe.image_size, recipe, MEASURED_FROM)
    found = match(pictures(), lambda image: detector.detect([image])[0])
    path.parent.mkdir(exist_ok=True)
    write_atomically(
        path, lambda file: np.savez(file, confidences=found.confidences, right=found.right, people=found.people)
    )
    return found


def on_val(recipe: PersonRecipe, pictures: Path) -> Pictures:
    return lambda: labelled(pictures, Split.VAL)


def _detector(network: Path, size: int, recipe: PersonRecipe, confidence: float = 0.08) -> PersonDetector:
    config: dict[str, Any] = {"image_size": size, "confidence": confidence, "max_detections": 300}
    device = recipe.tuning.device if recipe.tuning.device != "cpu" else "cpu"
    return PersonDetector.load(network, DetectorConfig(**config, cache_dir=recipe.work / "cache", device=device))
