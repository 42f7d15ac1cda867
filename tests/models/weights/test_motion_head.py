"""motion.json: written and read as the same head, named on the card, and refused where it is another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.errors import CardError, ChecksumError
from models.weights.cards import read_card
from models.weights.motion_head import MOTION_FILE, motion_heads, read_motion_head, write_motion_head
from pipeline.files import file_sha256
from tests.pipeline.motion_heads import speed_head

LABELS = ("standing", "walking")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "labels.txt").write_text("\n".join(LABELS))
    zeros = dict.fromkeys(("labels.txt", "model.keras"), "0" * 64)
    facts = {"name": "mine", "kind": "i3d", "num_classes": 2, "provenance": "here", "licence": "MIT", "sha256": zeros}
    (folder / "card.json").write_text(json.dumps(facts))
    return folder


def test_network_without_a_head_speaks_alone(folder: Path) -> None:
    assert read_motion_head(read_card(folder)) is None and motion_heads(read_card(folder)) == {}


def test_head_comes_back_as_it_was_written(folder: Path) -> None:
    write_motion_head(folder, speed_head(LABELS, share=0.25))
    assert motion_heads(read_card(folder)) == {"mine": speed_head(LABELS, share=0.25)}


def test_damaged_head_is_told_of_and_left_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_motion_head(folder, speed_head(LABELS))
    (folder / MOTION_FILE).write_text("{}")
    with pytest.raises(ChecksumError, match="damaged"):
        read_motion_head(read_card(folder))
    assert motion_heads(read_card(folder)) == {} and "without the motion of boxes" in caplog.text


def test_head_of_other_labels_or_of_no_numbers_is_refused(folder: Path) -> None:
    write_motion_head(folder, speed_head(("a", "b")))
    with pytest.raises(CardError, match="labels a, b"):
        read_motion_head(read_card(folder))
    write_motion_head(folder, speed_head(LABELS))
    content = json.loads((folder / MOTION_FILE).read_text())
    (folder / MOTION_FILE).write_text(json.dumps({**content, "share": 7}))
    card = read_card(folder)
    named = card.model_copy(update={"sha256": {**card.sha256, MOTION_FILE: file_sha256(folder / MOTION_FILE)}})
    with pytest.raises(CardError, match="cannot be read"):
        read_motion_head(named)


def test_card_that_cannot_be_changed_is_told_of(folder: Path) -> None:
    (folder / "card.json").write_text("[]")
    with pytest.raises(CardError, match="cannot be written"):
        write_motion_head(folder, speed_head(LABELS))
