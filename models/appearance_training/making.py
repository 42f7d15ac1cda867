"""From videos to ``weights/appearance``, in steps that an interrupted run takes up again: crops, teacher, training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import openvino

from models.appearance_training.card import NETWORK_FILES, AppearanceCard, AppearanceFigures, write_appearance_card
from models.appearance_training.crops import Crops, collect
from models.appearance_training.graph import TrainableGraph
from models.appearance_training.judging import Told, tell
from models.appearance_training.training import Runner, Say, Tuning, teach, unit
from models.appearance_training.views import small, tight
from models.errors import TrainingError
from models.person_training.videos import find_videos
from pipeline.detector import PersonDetector
from pipeline.entities import Floats, Image
from pipeline.files import file_sha256

TEACHER_HW = (256, 128)
LARGEST_BYTES = 3_000_000
LICENCE = (
    "AGPL-3.0 as the project; start and teacher Apache-2.0 (Intel, Open Model Zoo); see data for the videos' licences"
)
LIMITS = (
    "Upright people, whole in their box, 40 pixels tall or more. Knows clothes and build, not faces: people in like "
    "clothes are taken for each other, and across cameras it was not measured. It learnt from clips of a few seconds, "
    "and who is who in them is other networks' boxes linked by overlap, not people's labels. The epoch was chosen on "
    "the crops that metrics are of."
)


@dataclass(frozen=True)
class AppearanceRecipe:
    """What is made from what. ``extra``: videos without tracks, in which a detector must find people."""

    data: Path
    teacher: Path
    work: Path
    extra: Sequence[Path] = ()
    frames_per_video: int = 8
    size_hw: tuple[int, int] = (160, 80)
    tuning: Tuning = field(default_factory=Tuning)


@dataclass(frozen=True)
class CardTexts:
    """What the card says in words."""

    data: str
    command: str


def make(
    recipe: AppearanceRecipe, detector: Callable[[], PersonDetector], output: Path, texts: CardTexts, say: Say
) -> AppearanceCard:
    """Run every step that is not done yet and put network and card into ``output``.

    ``detector`` is asked for only where videos have no tracks. Raises DatasetError or TrainingError.
    """
    recipe.work.mkdir(parents=True, exist_ok=True)
    crops = make_crops(recipe, detector, say)
    taught = taught_by(recipe, crops, say)
    graph = TrainableGraph(recipe.teacher, recipe.size_hw)
    start = measured(graph, crops, recipe.tuning.judged_px)
    scores = teach(graph, crops, taught, recipe.tuning, say)
    if max(scores[1:], default=0.0) < scores[0]:
        say("no epoch is better than the start on the videos kept out: the network is its start at a smaller size")
    chosen = measured(graph, crops, recipe.tuning.judged_px)
    teacher = measured(TrainableGraph(recipe.teacher, TEACHER_HW), crops, recipe.tuning.judged_px)
    figures = [AppearanceFigures(height_px=recipe.tuning.judged_px, **asdict(t)) for t in (chosen, start, teacher)]
    return _store(recipe, graph, crops, figures, output, texts)


def make_crops(recipe: AppearanceRecipe, detector: Callable[[], PersonDetector], say: Say) -> Crops:
    """Cut people out of every video, or take what an earlier run cut from the same."""
    videos = find_videos(recipe.data, recipe.extra)
    key = _key(recipe.frames_per_video, [(video.name, video.split.value) for video in videos])
    file = recipe.work / f"crops-{key}.npz"
    if not file.is_file():
        finder = detector() if any(video.tracks is None for video in videos) else None
        collect(videos, finder, recipe.frames_per_video, say).save(file)
    crops = Crops.load(file)
    if not crops.held_out.any() or crops.held_out.all():
        raise TrainingError("expected people both in videos to learn from and in videos kept out (split train and val)")
    say(f"{len(crops)} crops of {len(np.unique(crops.people))} tracks in {len(np.unique(crops.videos))} videos")
    return crops


def taught_by(recipe: AppearanceRecipe, crops: Crops, say: Say) -> Floats:
    """(N, D) unit vectors of the teacher for the sharp, tight crops; kept."""
    file = recipe.work / f"taught-{_key(file_sha256(recipe.teacher.with_suffix('.bin')), crops.people.tolist())}.npy"
    if not file.is_file():
        say("asking the teacher")
        vectors = looked_at(TrainableGraph(recipe.teacher, TEACHER_HW), [tight(p, TEACHER_HW) for p in crops.pictures])
        part = file.with_suffix(".part.npy")
        np.save(part, vectors)
        part.rename(file)
    return np.asarray(np.load(file), np.float32)


def looked_at(graph: TrainableGraph, pictures: list[Image]) -> Floats:
    """uint8 (N, h, w, 3) of the graph's size → (N, D) unit vectors."""
    return unit(Runner(graph.written_back())(pictures))


def measured(graph: TrainableGraph, crops: Crops, height_px: int) -> Told:
    """How well it tells people apart in the videos kept out."""
    held_out = crops.part(crops.held_out)
    return tell(looked_at(graph, [small(p, height_px, graph.size_hw) for p in held_out.pictures]), held_out)


def _store(
    recipe: AppearanceRecipe,
    graph: TrainableGraph,
    crops: Crops,
    figures: Sequence[AppearanceFigures],
    output: Path,
    texts: CardTexts,
) -> AppearanceCard:
    output.mkdir(parents=True, exist_ok=True)
    model = graph.written_back()
    model = openvino.Model(model.outputs, model.get_parameters(), "appearance")  # without notes on its start's making
    openvino.save_model(model, output / NETWORK_FILES[0], compress_to_fp16=True)
    size = sum((output / name).stat().st_size for name in NETWORK_FILES)
    if size > LARGEST_BYTES:
        raise TrainingError(f"the network has {size} bytes, more than the {LARGEST_BYTES} that may ship")
    card = AppearanceCard(
        name="appearance",
        architecture="residual, several scales with gates, instance normalisation (form of its start), float16",
        height=recipe.size_hw[0],
        width=recipe.size_hw[1],
        dimension=int(model.output().get_partial_shape()[1].get_length()),
        data=texts.data,
        licence=LICENCE,
        provenance=_provenance(recipe, crops),
        command=texts.command,
        seed=recipe.tuning.seed,
        metrics=figures[0],
        start_metrics=figures[1],
        teacher_metrics=figures[2],
        limits=LIMITS,
        sha256={name: file_sha256(output / name) for name in NETWORK_FILES},
    )
    write_appearance_card(card, output)
    return card


def _provenance(recipe: AppearanceRecipe, crops: Crops) -> str:
    tuning, (height, width) = recipe.tuning, recipe.size_hw
    weights = file_sha256(recipe.teacher.with_suffix(".bin"))
    return (
        f"{recipe.teacher.stem} (sha256 of its .bin {weights}) is start and teacher: its form at {height} × {width} "
        f"instead of {TEACHER_HW[0]} × {TEACHER_HW[1]}, the last spatial weighting stretched, the layers up to the "
        f"last pooling kept, all behind it fine-tuned for {tuning.epochs} epochs (batch {tuning.batch}, learning rate "
        f"{tuning.learning_rate:g}) on {int((~crops.held_out).sum())} crops, shifted, shrunk, mirrored and of other "
        "light, towards its vectors of the sharp crops at full size and apart for people of one frame; the epoch best "
        f"on {int(crops.held_out.sum())} crops of source videos kept out."
    )


def _key(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
