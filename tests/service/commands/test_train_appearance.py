"""The command that a card of an appearance network repeats."""

from __future__ import annotations

from service.cli import build_parser
from service.commands.train_appearance import command_line


def test_command_line_names_no_absolute_folder() -> None:
    words = ["--data", "videos", "--teacher", "/home/me/reid.xml", "--extra", "/home/me/walk.mp4", "--epochs", "2"]
    text = command_line(build_parser(["train-appearance"]).parse_args(["train-appearance", *words]))
    assert text.startswith("actoscope train-appearance --data videos --teacher reid.xml --extra walk.mp4 --frames 8")
    assert "--epochs 2" in text
    assert "/home" not in text
