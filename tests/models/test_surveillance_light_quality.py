"""Quality floors of ``weights/surveillance-light`` on some annotated people of the val groups, within a minute.

As for ``weights/surveillance`` the shipped network has learnt from these groups too: a fall below a floor does not tell
how good it is but that something between pixels and labels broke.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from models.classifier import ActionClassifier
from models.data.manifest import Split, read_dataset
from models.evaluation.clips_and_videos import ClipsJob, evaluate_clips
from models.networks.complexity import count_parameters
from models.weights.cards import ModelCard, read_card, verify
from models.weights.saved_network import load_network
from models.weights.shipped_graph import GRAPH_FILE, GRAPH_FILES, shipped_graph
from service.cli import main
from tests.support.places import REPOSITORY, SHARED

FOLDER = REPOSITORY / "weights" / "surveillance-light"
SURVEILLANCE = SHARED / "data" / "surveillance"
FLOORS = json.loads((REPOSITORY / "benchmarks" / "floors.json").read_text())["surveillance-light"]
VIDEOS = ("fi015", "fi017", "fi105", "fi108", "nofi016", "nofi026", "nofi114")  # every class, 28 people
LARGEST_BYTES = 6_000_000  # of model.keras


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return read_card(FOLDER)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, card: ModelCard) -> Path:
    """The annotated people of ``VIDEOS``, cut as ``actoscope dataset`` cuts them."""
    if not SURVEILLANCE.is_dir():
        pytest.skip("../shared/data/surveillance is not here")
    work = tmp_path_factory.mktemp("val")
    with (SURVEILLANCE / "actions.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["clip"] in VIDEOS and row["label"] in card.labels]
    assert {row["split"] for row in rows} == {"val"}
    with (work / "actions.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    folders = [SURVEILLANCE / "fight", SURVEILLANCE / "noFight"]
    videos = [str(path) for folder in folders for path in folder.iterdir() if path.stem in VIDEOS]
    steps = (
        ["extract", *videos, "--work", str(work), "--tracks", str(SURVEILLANCE / "mot")],
        ["label", str(work), "--import", str(work / "actions.csv")],
        ["clips", str(work), "--whole", "--format", "ffv1", "--classes", ",".join(card.labels)],
    )
    for step in steps:
        assert main(["dataset", *step, "--quiet"]) == 0
    return work / "dataset"


def test_light_network_fits_the_full_one_and_is_small(card: ModelCard) -> None:
    verify(card)
    full = read_card(REPOSITORY / "weights" / "surveillance")
    assert full.light == card.name and full.labels == card.labels
    assert (FOLDER / "model.keras").stat().st_size <= LARGEST_BYTES
    assert count_parameters(load_network(card)) < 3_000_000
    assert card.input.clip_config(hop=4).size == card.input.height
    for field in ("provenance", "licence", "data", "command", "limits"):
        assert len(getattr(card, field)) > 20, field


def test_light_network_starts_at_once_from_the_graph_beside_it(card: ModelCard, tmp_path: Path) -> None:
    """No conversion and no measuring: the cache folder stays empty."""
    assert card.runtime == "openvino" and set(GRAPH_FILES) <= set(card.sha256)
    assert shipped_graph(card, card.clip_shape) == FOLDER / GRAPH_FILE
    classifier = ActionClassifier.load(FOLDER, cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    grey = np.full((1, *classifier.clip_shape), 128, np.uint8)
    scores = dict(zip(classifier.labels, classifier.predict(grey)[0], strict=True))
    assert scores["Fighting"] < 0.5  # nothing in view must not raise an alarm


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_light_network_stays_above_the_floors(clips: Path, tmp_path: Path) -> None:
    classifier = ActionClassifier.load(FOLDER, cache_dir=tmp_path / "cache")
    found = evaluate_clips(classifier, ClipsJob(read_dataset(clips), tmp_path, Split.VAL))
    assert found.count == FLOORS["people"]
    assert found.whole.metrics.macro_f1 >= FLOORS["macro_f1"]
