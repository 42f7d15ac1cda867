"""Clips on disk come back as they were, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.data.clip_file import ClipFormat, clip_name, read_clip, write_clip
from models.errors import DatasetError


@pytest.fixture
def clip() -> NDArray[np.uint8]:
    """uint8 (7, 48, 48, 3): a bright square wanders over a slope."""
    slope = np.linspace(20, 120, 48, dtype=np.uint8)
    pictures = np.stack([np.dstack([np.tile(slope, (48, 1))] * 3) for _ in range(7)])
    for place, picture in enumerate(pictures):
        picture[8:24, 4 * place : 4 * place + 16] = (220, 60, 30)
    return pictures


@pytest.mark.parametrize(
    ("form", "name", "mean_error"),
    [(ClipFormat.FFV1, "a.mkv", 0.0), (ClipFormat.H264, "a.mp4", 2.0), (ClipFormat.JPEG, "a", 2.0)],
)
def test_clip_written_and_read_is_the_same(
    form: ClipFormat, name: str, mean_error: float, clip: NDArray[np.uint8], tmp_path: Path
) -> None:
    assert clip_name("a", form) == name
    path = tmp_path / "new folder" / name
    write_clip(path, clip, 25.0, form)
    found = read_clip(path)
    assert (found.shape, found.dtype) == (clip.shape, np.uint8)
    assert np.abs(found.astype(int) - clip).mean() <= mean_error
    write_clip(path, clip[:3], 25.0, form)  # again, over what is there
    assert len(read_clip(path)) == 3
    assert [entry.name for entry in path.parent.iterdir()] == [name]


def test_equal_clips_are_equal_files(clip: NDArray[np.uint8], tmp_path: Path) -> None:
    """Caches go by the content of the file."""
    for name in ("a.mkv", "b.mkv"):
        write_clip(tmp_path / name, clip, 25.0, ClipFormat.FFV1)
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()


def test_write_that_fails_leaves_the_old_clip(
    clip: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mkv"
    write_clip(path, clip, 25.0, ClipFormat.FFV1)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_clip(path, clip[:2], 25.0, ClipFormat.FFV1)
    assert len(read_clip(path)) == len(clip)


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (8, 8, 3), (2, 8, 8, 4)])
def test_what_is_no_clip_is_refused_with_its_shape(shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected a uint8 \(T, H, W, 3\) clip"):
        write_clip(tmp_path / "a.mkv", np.zeros(shape, np.uint8), 25.0, ClipFormat.FFV1)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_clip_are_named(clip: NDArray[np.uint8], tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(DatasetError, match=r"text\.mp4 cannot be decoded"):
        read_clip(tmp_path / "text.mp4")
    with pytest.raises(DatasetError, match=r"missing\.mkv cannot be decoded"):
        read_clip(tmp_path / "missing.mkv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty holds no picture"):
        read_clip(tmp_path / "empty")
    write_clip(tmp_path / "mixed", clip, 25.0, ClipFormat.JPEG)
    write_clip(tmp_path / "small", clip[:, :24, :24], 25.0, ClipFormat.JPEG)
    (tmp_path / "small" / "000001.jpg").replace(tmp_path / "mixed" / "000009.jpg")
    with pytest.raises(DatasetError, match="pictures of different sizes"):
        read_clip(tmp_path / "mixed")
