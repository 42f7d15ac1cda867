"""Quality floors of ``weights/surveillance`` on the annotated people of the val groups.

The shipped network has learnt from these groups too (its card says so, and holds the figures of networks that had
not), so a fall below a floor does not tell how good it is but that something between pixels and labels broke.
"""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.classifier import ActionClassifier
from models.data.manifest import Split, read_dataset
from models.evaluation.clips_and_videos import ClipsJob, evaluate_clips
from models.evaluation.judge import JudgeConfig
from models.weights.cards import ModelCard, read_card, verify
from service.cli import main
from tests.support.places import REPOSITORY, SHARED

FOLDER = REPOSITORY / "weights" / "surveillance"
SURVEILLANCE = SHARED / "data" / "surveillance"
FLOORS = json.loads((REPOSITORY / "benchmarks" / "floors.json").read_text())["surveillance"]
LABELS = ("Fighting", "Standing", "Walking", "Other")
LARGEST_BYTES = 30_000_000


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return read_card(FOLDER)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The annotated people of the val groups, cut as ``actoscope dataset`` cuts them."""
    if not SURVEILLANCE.is_dir():
        pytest.skip("../shared/data/surveillance is not here")
    work = tmp_path_factory.mktemp("val")
    with (SURVEILLANCE / "actions.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "val" and row["label"] in LABELS]
    with (work / "actions.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    names = {row["clip"] for row in rows}
    folders = [SURVEILLANCE / "fight", SURVEILLANCE / "noFight", SURVEILLANCE.parent / "misc"]
    videos = [str(path) for folder in folders for path in folder.iterdir() if path.stem in names]
    assert len(videos) == len(names)
    steps = (
        ["extract", *videos, "--work", str(work), "--tracks", str(SURVEILLANCE / "mot")],
        ["label", str(work), "--import", str(work / "actions.csv")],
        ["clips", str(work), "--whole", "--format", "ffv1", "--classes", ",".join(LABELS)],
    )
    for step in steps:
        assert main(["dataset", *step, "--quiet"]) == 0
    return work / "dataset"


def test_shipped_network_is_whole_small_and_says_where_it_comes_from(card: ModelCard) -> None:
    verify(card)
    assert card.labels == LABELS
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) <= LARGEST_BYTES
    for field in ("provenance", "licence", "data", "command", "limits"):
        assert len(getattr(card, field)) > 20, field
    assert card.seed is not None
    assert {"cpu", "gpu"} <= set(card.recipes)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_shipped_network_knows_some_of_them(clips: Path, tmp_path: Path) -> None:
    """The path alone, where a clip may take four CPU seconds: every fifth person."""
    dataset = read_dataset(clips)
    some = replace(dataset, records=dataset.of(Split.VAL)[::5])
    classifier = ActionClassifier.load(FOLDER, cache_dir=tmp_path / "cache")
    found = evaluate_clips(classifier, ClipsJob(some, tmp_path, Split.VAL))
    assert found.count == 16
    assert found.whole.metrics.top1 >= FLOORS["some_accuracy"]


@pytest.mark.exhaustive  # minutes without AVX-512
@pytest.mark.timeout(900)
def test_shipped_network_stays_above_the_floors(clips: Path, tmp_path: Path) -> None:
    classifier = ActionClassifier.load(FOLDER, cache_dir=tmp_path / "cache")
    job = ClipsJob(read_dataset(clips), tmp_path, Split.VAL, judging=JudgeConfig((LABELS[:3],)))
    found = evaluate_clips(classifier, job)
    assert found.count == 80
    assert found.whole.metrics.macro_f1 >= FLOORS["macro_f1"]
    assert found.subsets[0].metrics.macro_f1 >= FLOORS["macro_f1_fighting_standing_walking"]
    fighting = next(item for item in found.whole.metrics.classes if item.label == "Fighting")
    assert fighting.recall >= FLOORS["fighting_recall"]
    assert fighting.precision >= FLOORS["fighting_precision"]


@pytest.mark.exhaustive
def test_grey_clip_is_no_fight() -> None:
    """Nothing in view must not raise an alarm."""
    classifier = ActionClassifier.load(FOLDER)
    grey = np.full((1, *classifier.clip_shape), 128, np.uint8)
    scores = dict(zip(classifier.labels, classifier.predict(grey)[0], strict=True))
    assert scores["Fighting"] < 0.5
