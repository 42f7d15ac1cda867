"""What is written for CVAT is read back by our own import as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.exports.cvat import write_cvat
from models.data.imports.cvat import ActionRange, read_cvat
from models.data.imports.motchallenge import BoxTrack
from models.errors import DatasetError

SIZE, FRAMES = (120, 160), 40


def track(track_id: int, *frames: int) -> BoxTrack:
    return BoxTrack(track_id, {frame: np.array([frame, 10, frame + 20.25, 50], np.float32) for frame in frames})


def test_tracks_with_holes_and_labels_come_back_as_they_were(tmp_path: Path):
    tracks = [track(1, *range(1, 11), *range(20, 25)), track(7, 40)]
    labels = [
        ActionRange(1, 1, 4, "Walking"),
        ActionRange(1, 5, 10, 'Fi<ght> & "more"'),
        ActionRange(7, 40, 40, "Über"),
    ]
    write_cvat(tmp_path / "v.xml", tracks, labels, SIZE, FRAMES, "street & co.mp4")
    found = read_cvat(tmp_path / "v.xml")
    assert (found.source, found.notes) == ("street & co.mp4", ())
    assert [(each.track_id, sorted(each.boxes)) for each in found.tracks] == [
        (each.track_id, sorted(each.boxes)) for each in tracks
    ]
    assert all(
        np.allclose(read.boxes[frame], box, atol=0.01)
        for read, written in zip(found.tracks, tracks, strict=True)
        for frame, box in written.boxes.items()
    )
    assert found.actions == tuple(labels)


@given(st.dictionaries(st.integers(1, 6), st.sets(st.integers(1, FRAMES), min_size=1), min_size=1, max_size=4))
def test_any_frames_in_view_come_back(tmp_path_factory: pytest.TempPathFactory, frames: dict[int, set[int]]):
    path = tmp_path_factory.mktemp("cvat") / "v.xml"
    write_cvat(path, [track(key, *value) for key, value in frames.items()], (), SIZE, FRAMES)
    found = read_cvat(path)
    assert {each.track_id: set(each.boxes) for each in found.tracks} == frames
    assert found.actions == ()


@pytest.mark.parametrize(
    ("tracks", "words"),
    [
        ([track(0, 1)], "numbered from 1"),
        ([track(3, 1), track(3, 2)], "each once"),
        ([track(1, FRAMES + 1)], f"frames 1 to {FRAMES}"),
    ],
)
def test_what_cvat_could_not_tell_is_refused_and_leaves_no_file(tmp_path: Path, tracks: list[BoxTrack], words: str):
    with pytest.raises(DatasetError, match=words):
        write_cvat(tmp_path / "v.xml", tracks, (), SIZE, FRAMES)
    assert list(tmp_path.iterdir()) == []
