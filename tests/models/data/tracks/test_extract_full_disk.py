"""``extract`` and clips on a real file system without room: told in words, and nothing half-made stays."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from models.data.clip_file import ClipFormat, clip_name, read_clip, write_clip
from models.data.tracks.extract import ExtractConfig
from tests.models.data.working_folder import extract_given, write_mot
from tests.support.media import write_video
from tests.support.small_disk import fill, small_disk


@pytest.mark.parametrize("form", list(ClipFormat))
def test_extract_on_a_full_disk_says_so_and_goes_on_when_there_is_room(tmp_path: Path, form: ClipFormat) -> None:
    video = write_video(tmp_path / "v.mp4", 40)
    tracks = write_mot(tmp_path / "v.txt", {1: range(1, 41), 2: range(1, 30)})
    config = ExtractConfig(size=224, format=form)
    with small_disk(tmp_path / "disk", 8_000) as disk:
        rest = fill(disk, leave_kilobytes=8)
        with pytest.raises(OSError) as caught:
            extract_given(disk / "work", [video], tracks, config)
        assert caught.value.errno == errno.ENOSPC
        assert ".v.part" in str(caught.value.filename)
        assert list((disk / "work" / "tracks").iterdir()) == []
        rest.unlink()
        (done,) = extract_given(disk / "work", [video], tracks, config)
        assert (done.people, done.crops) == (2, 69)


@pytest.mark.parametrize("form", list(ClipFormat))
def test_clip_on_a_full_disk_leaves_the_old_one_and_nothing_else(tmp_path: Path, form: ClipFormat) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (12, 64, 64, 3), np.uint8)
    with small_disk(tmp_path / "disk", 1_000) as disk:
        path = disk / "clips" / clip_name("x", form)
        write_clip(path, noise[:2], 25.0, form)
        fill(disk, leave_kilobytes=16)
        with pytest.raises(OSError) as caught:
            write_clip(path, noise, 25.0, form)
        assert caught.value.errno == errno.ENOSPC
        assert [each.name for each in path.parent.iterdir()] == [path.name]
        assert len(read_clip(path)) == 2
