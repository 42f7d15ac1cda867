"""A data set of two classes, prepared from class folders by the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.data.trees import write_broken, write_video
from tests.service.commands.command_line import typed

SMALL = ("--size", "32", "--quiet")


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Class folders: three cameras of two clips for each of two classes, and one broken file."""
    root = tmp_path / "videos"
    for number in range(12):
        label, camera, clip = ("run", "walk")[number // 6], number // 2, number % 2
        write_video(root / label / f"cam{camera}_{clip}.mp4", 12, seed=number)
    write_broken(root / "walk" / "cam9_0.avi")
    return root


@pytest.fixture
def data(tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    folder = tmp_path / "data"
    status = typed("dataset", "prepare", "folders", videos, "--output", folder, "--group-pattern", r"cam\d", *SMALL)
    assert status == 1  # the broken one
    return folder
