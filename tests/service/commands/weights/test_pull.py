from __future__ import annotations

from pathlib import Path

from tests.service.commands.command_line import check_one_line, run


def test_weights_pull_of_an_unknown_name_says_what_there_is(tmp_path: Path):
    result = run(tmp_path, "weights", "pull", "nonsense", WEIGHTS_DIR=str(tmp_path / "weights"))
    check_one_line(result, "'nonsense'", "i3d-kinetics400")
    assert list(tmp_path.iterdir()) == []
