from __future__ import annotations

from pathlib import Path

import pytest

from models.data.imports.cvat import ActionRange, read_cvat
from models.errors import DatasetError


def box(frame: int, left: float = 0, outside: int = 0, action: str = "") -> str:
    attribute = f'<attribute name="action">{action}</attribute>' if action else ""
    corners = f'xtl="{left}" ytl="10" xbr="{left + 20}" ybr="50"'
    return f'<box frame="{frame}" keyframe="1" outside="{outside}" occluded="0" {corners} z_order="0">{attribute}</box>'


def cvat(tmp_path: Path, *tracks: str, head: str = "") -> Path:
    path = tmp_path / "v.xml"
    body = "".join(
        f'<track id="{index}" label="person" source="manual">{track}</track>' for index, track in enumerate(tracks)
    )
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>{head}{body}</annotations>'
    )
    return path


def test_read_counts_frames_and_people_from_one_and_fills_between_keyframes(tmp_path: Path) -> None:
    found = read_cvat(cvat(tmp_path, box(0, 0) + box(4, 8), head="<meta><source>street.mp4</source></meta>"))
    (track,) = found.tracks
    assert (found.source, track.track_id, sorted(track.boxes)) == ("street.mp4", 1, [1, 2, 3, 4, 5])
    assert track.boxes[3].tolist() == [4, 10, 24, 50]


def test_read_person_outside_has_no_box_until_the_next_keyframe(tmp_path: Path) -> None:
    (track,) = read_cvat(cvat(tmp_path, box(0) + box(3, outside=1) + box(8) + box(9))).tracks
    assert sorted(track.boxes) == [1, 2, 3, 9, 10]


def test_read_actions_are_runs_of_the_attribute(tmp_path: Path) -> None:
    boxes = box(0, action="Walking") + box(2, action="Walking") + box(4, action="Fighting") + box(6, outside=1)
    assert read_cvat(cvat(tmp_path, boxes)).actions == (
        ActionRange(1, 1, 4, "Walking"),
        ActionRange(1, 5, 6, "Fighting"),
    )


def test_read_action_of_the_track_and_else_its_label(tmp_path: Path) -> None:
    of_track = '<attribute name="action">Sitting</attribute>'
    found = read_cvat(cvat(tmp_path, of_track + box(0) + box(1), box(5)))
    assert found.actions == (ActionRange(1, 1, 2, "Sitting"), ActionRange(2, 6, 6, "person"))


def test_read_track_that_is_always_outside_is_left_out(tmp_path: Path) -> None:
    found = read_cvat(cvat(tmp_path, box(0, outside=1)))
    assert (found.tracks, found.actions) == ((), ())


def test_read_lists_everything_wrong(tmp_path: Path) -> None:
    bad = (
        box(3).replace('xtl="0"', 'xtl="a"') + box(4).replace('xbr="20"', 'xbr="-1"') + box(5).replace('frame="5"', "")
    )
    with pytest.raises(DatasetError) as caught:
        read_cvat(cvat(tmp_path, bad))
    assert len(str(caught.value).splitlines()) == 3


def test_read_two_tracks_of_one_number_are_refused(tmp_path: Path) -> None:
    path = cvat(tmp_path, box(0), box(1))
    path.write_text(path.read_text().replace('id="1"', 'id="0"'))
    with pytest.raises(DatasetError, match="track 0 occurs twice"):
        read_cvat(path)


def test_read_file_that_is_no_xml_is_told(tmp_path: Path) -> None:
    path = tmp_path / "v.xml"
    path.write_text("clip,track\n")
    with pytest.raises(DatasetError, match="no CVAT XML"):
        read_cvat(path)
