"""From videos to a weights folder that the serving code loads, on a few frames of the sample video."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.data.manifest import Split
from models.person_training.card import read_person_card
from models.person_training.pictures import labelled
from pipeline.detector import DetectorConfig, PersonDetector, resolve_person_weights, shipped_conversion
from tests.models.person_training.making_run import START
from tests.support.places import REPOSITORY, STREET


def cut(target: Path, first: int, frames: int) -> None:
    """Some frames of the sample video as a video of their own."""
    capture, writer = cv2.VideoCapture(str(STREET)), None
    for number in range(first + frames):
        _, bgr = capture.read()
        if number >= first:
            size = (bgr.shape[1], bgr.shape[0])
            writer = writer or cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"MJPG"), 10, size)
            writer.write(bgr)
    capture.release()
    assert writer is not None
    writer.release()


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder as ``../shared/data``: one training and one validation video, and a little PETS."""
    if not START.is_file():
        pytest.skip("../shared/weights/yolo11n-coco is not here")
    shared = tmp_path / "shared"
    (shared / "cameras").mkdir(parents=True)
    (shared / "pets").mkdir()
    cut(shared / "cameras" / "one.avi", 0, 8)
    cut(shared / "cameras" / "two.avi", 30, 8)
    cut(shared / "pets" / "vtest.avi", 60, 2)
    (shared / "cameras" / "clips.csv").write_text("clip,source_group,split\none,0,train\ntwo,1,val\n")
    (shared / "pets" / "gt_every10.txt").write_text("1,1,10,10,20,40,1\n2,1,10,10,20,40,1\n")
    return shared


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_make_from_videos_to_a_folder_that_the_service_loads(shared: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.models.person_training.making_run", str(shared), str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "epoch 1 of 1" in done.stdout
    output = tmp_path / "weights" / "person"
    card = read_person_card(output)
    assert card.share == 1.0
    assert set(card.metrics) == set(card.start_metrics) == {"PETS09-S2L1"}
    assert START.name in card.provenance
    (pictures,) = (tmp_path / "work").glob("pictures-*")
    assert sum(len(people.boxes_xyxy) for _, people in labelled(pictures, Split.TRAIN)) > 2
    _check_serving(output, tmp_path)


def _check_serving(output: Path, tmp_path: Path) -> None:
    """The new network is the default, and finds about the people that its start finds."""
    assert resolve_person_weights(output.parent) == output / "person.pt"
    assert shipped_conversion(output / "person.pt") == output / "person.xml"
    config = DetectorConfig(image_size=320, confidence=0.3, cache_dir=tmp_path / "work" / "cache", device="cpu")
    image = np.ascontiguousarray(cv2.VideoCapture(str(STREET)).read()[1][..., ::-1])
    new, old = PersonDetector.load(output / "person.pt", config), PersonDetector.load(START, config)
    assert abs(len(new.detect([image])[0]) - len(old.detect([image])[0])) <= 2
    shutil.rmtree(output)
