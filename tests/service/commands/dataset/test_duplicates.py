from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.data.trees import write_video
from tests.service.commands.command_line import typed
from tests.service.commands.dataset.conftest import SMALL


def test_duplicates_between_splits_or_between_groups(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    write_video(videos / "walk" / "cam7_0.mp4", 12, seed=0)  # the same scene as run/cam0_0
    typed("dataset", "prepare", "folders", videos, "--output", folder, "--group-pattern", r"cam\d", *SMALL)
    capsys.readouterr()
    assert typed("dataset", "duplicates", folder, "--quiet") == 0
    assert capsys.readouterr().out == "near-duplicates in different splits: 0 pairs\n"
    assert typed("dataset", "duplicates", folder, "--groups", "--quiet") == 0
    told, pair = capsys.readouterr().out.splitlines()
    assert told.startswith("near-duplicates in different groups: 1 pairs (all in ")
    assert "clips/run/cam0_0.mp4" in pair and "clips/walk/cam7_0.mp4" in pair
    assert pair.endswith("(100% of the pictures, 0 bits)")
