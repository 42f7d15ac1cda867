"""What a newcomer types wrongly is answered in one message that says what is missing and which command makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.cli import main
from service.commands.exit_status import EXIT_FAILED

NO_DATA_SET = ("dataset.json does not exist", "is no data set")
MISTAKES = {
    "dataset extract nosuch --work work": ("nosuch: there is no such file",),
    "dataset extract . --work work": (".: a folder without videos",),
    "dataset label nosuch": ("no extracted video in nosuch/tracks", "actoscope dataset extract"),
    "dataset group nosuch": ("no extracted video in nosuch/tracks", "actoscope dataset extract"),
    "dataset oversample nosuch": ("nosuch/examples/group.json does not exist", "actoscope dataset group"),
    "dataset clips nosuch": ("no extracted video in nosuch/tracks", "actoscope dataset extract"),
    "dataset split nosuch": NO_DATA_SET,
    "dataset balance nosuch --target max": NO_DATA_SET,
    "dataset stats nosuch": NO_DATA_SET,
    "dataset duplicates nosuch": NO_DATA_SET,
    "dataset augment nosuch --per-class 3": NO_DATA_SET,
    "dataset prepare folders nosuch --output data": ("nosuch is no folder; expected class/….mp4",),
    "train nosuch.py --data nosuch": ("there is no file nosuch.py", "quick.py"),
    "train mine.py": ("mine.py names no data set: give --data DIR",),
    "train mine.py --data nosuch": NO_DATA_SET,
    "train notes.txt --data nosuch": ("notes.txt cannot be run: SyntaxError",),
    "evaluate nosuch": ("give a data set, --videos or --negative",),
    "evaluate nosuch nosuch": NO_DATA_SET,
    "compare one two nosuch": ("one/card.json does not exist", "is no weights folder"),
}


@pytest.mark.parametrize("line", MISTAKES)
def test_mistake_is_answered_with_what_to_do(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("from models.training.config import TrainConfig\nCONFIG = TrainConfig('mine')\n")
    (tmp_path / "notes.txt").write_text("squats, push-ups and the like\n")
    assert main(line.split()) == EXIT_FAILED
    message = capsys.readouterr().err
    assert message.startswith("actoscope: ") and message.count("\n") == 1, message
    for words in MISTAKES[line]:
        assert words in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.py", "notes.txt"], "a mistake left something"
