from __future__ import annotations

from pathlib import Path

from service.cli import build_parser
from service.commands.train_person import command_line


def test_command_line_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    words = ["--data", str(tmp_path / "videos"), "--start", "../shared/start.pt", "--epochs", "2"]
    text = command_line(build_parser(["train-person"]).parse_args(["train-person", *words]))
    assert text.startswith("actoscope train-person --data videos --start ../shared/start.pt --epochs 2")
    assert str(tmp_path) not in text
    assert "--learning-rate 0.0005" in text
