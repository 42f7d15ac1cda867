from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.data.tracks.contact_sheet import contact_sheet, evenly, write_sheets
from models.data.tracks.labels_csv import empty_rows
from tests.models.data.working_folder import make_work, quiet


def test_sheet_shows_every_crop_in_its_place() -> None:
    crops = np.stack([np.full((40, 40, 3), 20 * (index + 1), np.uint8) for index in range(7)])
    sheet = contact_sheet(crops, ["" for _ in crops], "", columns=3)
    assert sheet.shape == (28 + 3 * 160, 3 * 160, 3)
    assert [int(sheet[28 + 160 * (index // 3) + 80, 160 * (index % 3) + 80, 0]) for index in range(7)] == [
        20 * (index + 1) for index in range(7)
    ]
    assert (sheet[28 + 320 :, 160:] == 255).all()


def test_sheet_writes_title_and_numbers() -> None:
    crops = np.full((2, 40, 40, 3), 90, np.uint8)
    plain, written = contact_sheet(crops, ["", ""], ""), contact_sheet(crops, ["12", "57"], "straße  track 3")
    differs = (plain != written).any(axis=-1)
    assert differs[:28].any()
    assert differs[160:, :60].any() and differs[160:, 160:220].any()
    assert not differs[40:140].any()


@pytest.mark.parametrize(
    ("count", "wanted", "chosen"), [(3, 12, [0, 1, 2]), (5, 3, [0, 2, 4]), (100, 2, [0, 99]), (9, 1, [0]), (1, 5, [0])]
)
def test_evenly_takes_first_last_and_between(count: int, wanted: int, chosen: list[int]) -> None:
    assert evenly(count, wanted) == chosen


def test_write_sheets_makes_a_png_a_track_and_keeps_fresh_ones(tmp_path: Path) -> None:
    _, videos = make_work(tmp_path, {"a": {1: range(1, 41), 2: [3]}})
    sheets = write_sheets(videos, empty_rows(videos), tmp_path / "sheets", 12, quiet, [])
    assert [path.name for path in sheets] == ["00001_000001-000040.png", "00002_000003-000003.png"]
    picture = cv2.imread(str(sheets[0]))
    assert picture is not None and picture.shape == (28 + 2 * 160, 6 * 160, 3)
    future = sheets[0].stat().st_mtime + 1000
    os.utime(sheets[0], (future, future))
    write_sheets(videos, empty_rows(videos), tmp_path / "sheets", 12, quiet, [])
    assert sheets[0].stat().st_mtime == future
