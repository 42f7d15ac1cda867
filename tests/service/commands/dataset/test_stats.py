from __future__ import annotations

from pathlib import Path

import pytest

from tests.service.commands.command_line import typed


def test_stats_shows_table_and_writes_plots(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert typed("dataset", "stats", data) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["class", "undecided"]
    assert lines[-2].split()[:4] == ["all", "12", "6", "12"]
    assert {path.name for path in (data / "stats").iterdir()} == {
        "stats.csv",
        "clips.png",
        "groups.png",
        "durations.png",
    }
