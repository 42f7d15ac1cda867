"""From own videos to labels on the websocket: the path that docs/training.md shows, with few clips and one epoch."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import av
import pytest

from tests.e2e.conftest import NewService
from tests.support.places import REPOSITORY
from tests.support.service import SAMPLE, SAMPLE_URL, Service

pytestmark = pytest.mark.skipif(
    find_spec("albumentations") is None, reason="training needs more packages: pip install -e '.[train]'"
)

CLASSES = {"Going left", "Going right"}
EXCERPTS = {"morning": (0, 60), "noon": (70, 130), "evening": (140, 200)}  # frames of the sample
CONFIG = """
from models.training.config import *

CONFIG = TrainConfig(
    name="mine",
    network=NetworkConfig(init=""),
    input=ClipInput(window=WindowConfig(16), size=64),
    transfer=TransferConfig(draws=2),
    epochs=1,
    batch_size=8,
    card=CardText(licence="of the test", limits="knows nothing: one epoch from random weights"),
)
"""


class Workshop:
    """A folder in which commands are typed, with the settings of a service that is started later."""

    def __init__(self, folder: Path, new_service: NewService) -> None:
        self.folder = folder
        self.service = new_service(folder, weights_dir=str(folder / "weights"), model="mine")
        own_detector = REPOSITORY / "weights" / "person"
        (folder / "weights").mkdir()
        if own_detector.is_dir():
            (folder / "weights" / "person").symlink_to(own_detector)
        self.environment = {**self.service.environment, "PYTHONPATH": str(REPOSITORY)}

    def types(self, *words: str) -> str:
        """``actoscope …`` in the folder → what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "service.cli", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout


@pytest.fixture
def workshop(tmp_path: Path, new_service: NewService) -> Iterator[Workshop]:
    mine = Workshop(tmp_path, new_service)
    yield mine
    mine.service.stop()
    mine.service.client.close()


@pytest.mark.exhaustive
def test_own_videos_become_a_model_whose_labels_arrive_on_the_websocket(workshop: Workshop):
    cut_videos(workshop.folder / "videos")
    make_data(workshop)
    check_data(workshop.folder / "work" / "dataset")
    (workshop.folder / "mine.py").write_text(CONFIG)
    train = ("train", "mine.py", "--data", "work/dataset", "--output", "weights/mine", "--quiet")
    assert "weights/mine" in workshop.types(*train)
    check_evaluation(workshop)
    workshop.service.start()
    check_labels(workshop.service)


def cut_videos(folder: Path) -> None:
    """Three short videos of their own out of the sample."""
    folder.mkdir()
    with av.open(str(SAMPLE)) as source:
        pictures = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
        rate = source.streams.video[0].average_rate
    for name, (first, last) in EXCERPTS.items():
        with av.open(str(folder / f"{name}.mp4"), "w") as container:
            height, width = pictures[0].shape[:2]
            stream = container.add_stream("libx264", rate=rate, width=width, height=height, options={"crf": "20"})
            for picture in pictures[first:last]:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())


def make_data(workshop: Workshop) -> None:
    """People out of the videos, labels by a table, clips, splits."""
    workshop.types("dataset", "extract", "videos", "--work", "work", "--size", "64", "--quiet")
    workshop.types("dataset", "label", "work", "--quiet")
    assert len(list((workshop.folder / "work" / "sheets").glob("*/*.png"))) >= 6
    fill_table(workshop.folder / "work")
    form = ("--length", "16", "--whole", "--description", "the sample")
    workshop.types("dataset", "clips", "work", *form, "--quiet")
    shares = ("--train", "0.67", "--val", "0.33", "--test", "0")
    workshop.types("dataset", "split", "work/dataset", *shares, "--no-duplicates", "--quiet")


def fill_table(work: Path) -> None:
    """What a person would do in a spreadsheet: every track's label, here by the way that its box goes."""
    with (work / "labels.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        with (work / "tracks" / row["clip"] / "manifest.csv").open(newline="") as stream:
            places = [float(crop["x1"]) for crop in csv.DictReader(stream) if crop["track_id"] == row["track"]]
        row["label"] = "Going right" if places[-1] > places[0] else "Going left"
    with (work / "labels.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def check_data(folder: Path) -> None:
    """Both classes in both splits, every video in one of them, and lists that say the same as the manifest."""
    assert json.loads((folder / "dataset.json").read_text())["class2label"] == {"Going left": 0, "Going right": 1}
    with (folder / "manifest.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    homes = {(row["group"], row["split"]) for row in rows}
    assert {group for group, _ in homes} == set(EXCERPTS)
    assert sorted(split for _, split in homes) == ["train", "train", "val"]
    assert {(row["label"], row["split"]) for row in rows} == {(c, s) for c in CLASSES for s in ("train", "val")}
    for split, name in (("train", "trainlist.txt"), ("val", "vallist.txt")):
        listed = [line.rpartition(" ")[0] for line in (folder / name).read_text().splitlines()]
        assert listed == [row["path"] for row in rows if row["split"] == split]


def check_evaluation(workshop: Workshop) -> None:
    """The figures are on the card, and the report is one file."""
    workshop.types("evaluate", "mine", "work/dataset", "--write-card", "--quiet")
    card = json.loads((workshop.folder / "weights" / "mine" / "card.json").read_text())
    assert (card["input"]["frames"], card["input"]["height"], card["data"]) == (16, 64, "the sample")
    assert card["command"] == "actoscope train mine.py --data work/dataset"
    assert 0 <= card["metrics"]["val/top1"] <= 1
    assert (workshop.folder / "weights" / "mine" / "labels.txt").read_text() == "Going left\nGoing right\n"
    assert "<html" in (workshop.folder / "evaluations" / "mine" / "report.html").read_text()


def check_labels(service: Service) -> None:
    """A stream that names no model gets ours; people in it get our labels."""
    with service.subscribe() as subscriber:
        stream = service.add_stream(SAMPLE_URL, actions=dict.fromkeys(CLASSES, 0.3))
        assert stream["model"] == "mine"
        heard = subscriber.wait("tracks", 60, lambda m: any(t["action"] for t in m["tracks"]), stream_id=stream["id"])
        named = [track for track in heard["tracks"] if track["action"]]
        assert {track["action"] for track in named} <= CLASSES
        assert all(set(track["scores"]) == CLASSES and track["buffer_size"] == 16 for track in named)
