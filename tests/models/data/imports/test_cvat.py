from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.imports.cvat import ActionRange, read_cvat
from models.data.tracks.labels_csv import read_actions
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
    assert [track.track_id for track in read_cvat(cvat(tmp_path, box(0, outside=1), box(0))).tracks] == [2]
    with pytest.raises(DatasetError, match="holds nobody"):
        read_cvat(cvat(tmp_path, box(0, outside=1)))


def test_read_lists_everything_wrong(tmp_path: Path) -> None:
    bad = (
        box(3).replace('xtl="0"', 'xtl="a"') + box(4).replace('xbr="20"', 'xbr="1e9"') + box(5).replace('frame="5"', "")
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


FIELD = Path(__file__).parents[3] / "data" / "cvat"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("images_format", "is CVAT for images 1.1, whose boxes do not say who is who"),
        ("skeleton", "holds nobody (tracks of skeleton, which have no box: 1)"),
        ("voc", "is PASCAL VOC or LabelMe, no CVAT for video"),
    ],
)
def test_read_other_formats_are_refused_by_name(name: str, words: str) -> None:
    with pytest.raises(DatasetError) as caught:
        read_cvat(FIELD / f"{name}.xml")
    assert words in str(caught.value) and 'export as "CVAT for video 1.1"' in str(caught.value)


def test_read_value_that_nobody_chose_is_no_label() -> None:
    found = read_cvat(FIELD / "undefined_action.xml")
    assert (len(found.tracks), found.actions) == (1, ())
    with pytest.raises(DatasetError, match="says of nobody what they do"):
        read_actions(FIELD / "undefined_action.xml")


def test_read_value_that_nobody_chose_ends_a_label(tmp_path: Path) -> None:
    boxes = box(0, action="Walking") + box(3, action="__undefined__") + box(6, action="Walking") + box(8)
    assert read_cvat(cvat(tmp_path, boxes)).actions == (
        ActionRange(1, 1, 3, "Walking"),
        ActionRange(1, 7, 8, "Walking"),
        ActionRange(1, 9, 9, "person"),
    )


def test_read_box_without_area_is_left_out_with_a_note() -> None:
    inside = read_cvat(FIELD / "zero_area_inside.xml")
    assert sorted(inside.tracks[0].boxes) == [1]
    assert [note.rpartition(": left out, ")[2] for note in inside.notes] == ["box without area: 1"]
    outside = read_cvat(FIELD / "zero_area_outside.xml")
    assert (sorted(outside.tracks[0].boxes), outside.notes) == (list(range(1, 11)), ())


def test_read_polygons_ellipses_masks_and_turned_boxes_by_what_they_lie_in(tmp_path: Path) -> None:
    (polygon,) = read_cvat(FIELD / "polygon_tracks.xml").tracks
    assert polygon.boxes[1].tolist() == [1, 2, 5, 6]
    shapes = (
        '<mask frame="0" outside="0" rle="1" left="3" top="4" width="10" height="20"/>',
        '<ellipse frame="0" outside="0" cx="50" cy="60" rx="10" ry="20"/>',
        '<ellipse frame="0" outside="0" cx="50" cy="60" rx="10" ry="20" rotation="90"/>',
        '<box frame="0" outside="0" xtl="0" ytl="0" xbr="10" ybr="30" rotation="90"/>',
    )
    found = [track.boxes[1].round(3).tolist() for track in read_cvat(cvat(tmp_path, *shapes)).tracks]
    assert found == [[3, 4, 13, 24], [40, 40, 60, 80], [30, 50, 70, 70], [-10, 10, 20, 20]]


def test_read_shapes_without_box_do_not_stop_the_others(tmp_path: Path) -> None:
    found = read_cvat(
        cvat(tmp_path, '<polyline frame="0" points="1,2;3,4"/>', box(0), '<points frame="0" points="1,2"/>')
    )
    assert [track.track_id for track in found.tracks] == [2]
    assert len(found.notes) == 2


def test_read_images_whose_boxes_say_who_is_who(tmp_path: Path) -> None:
    path = tmp_path / "v.xml"
    shown = '<box label="person" xtl="1" ytl="2" xbr="30" ybr="40">{}</box>'
    who = '<attribute name="track_id">4</attribute><attribute name="action">{}</attribute>'
    images = "".join(
        f'<image id="{frame}" name="f" width="640" height="480">{shown.format(who.format(action))}</image>'
        for frame, action in ((0, "Walking"), (1, "Walking"), (5, "Fighting"))
    )
    path.write_text(f"<annotations>{images}</annotations>")
    found = read_cvat(path)
    assert [(track.track_id, sorted(track.boxes)) for track in found.tracks] == [(5, [1, 2, 6])]
    assert found.actions == (ActionRange(5, 1, 2, "Walking"), ActionRange(5, 6, 6, "Fighting"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no CVAT XML that can be read"),
        ('<?xml version="1.0" encoding="none-such"?><annotations/>', "no CVAT XML that can be read"),
        ("<annotations/>", "holds nobody (no track in it)"),
        ("<osm/>", "is an XML file of <osm>"),
        ('<annotations><track id="x" label="p"/></annotations>', "track: expected a whole number as id, got 'x'"),
    ],
)
def test_read_what_is_no_annotation_says_so(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "v.xml"
    path.write_text(text)
    with pytest.raises(DatasetError) as caught:
        read_cvat(path)
    assert words in str(caught.value)


def test_read_hole_of_hours_is_refused_before_it_is_filled(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="over 100000 frames between two boxes"):
        read_cvat(cvat(tmp_path, box(0) + box(2_000_000_000)))


VALUES = st.sampled_from(["0", "1", "-3", "7.5", "1e400", "nan", "", "x", "9" * 30, "1,2;3,4", "1,2;3", "\u0663", "²"])
NAMES = ["frame", "outside", "xtl", "ytl", "xbr", "ybr", "points", "cx", "cy", "rx", "ry", "left", "rotation", "id"]
ELEMENTS = ["box", "polygon", "ellipse", "mask", "points", "skeleton", "attribute", "image", "track", "source"]


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> str:
    tag = draw(st.sampled_from(ELEMENTS))
    values = draw(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6))
    inner = "".join(draw(st.lists(elements(depth - 1), max_size=3))) if depth else draw(VALUES)
    attributes = " ".join(f'{name}="{value}"' for name, value in values.items())
    return f"<{tag} {attributes}>{inner}</{tag}>"


@given(elements().map(lambda inner: f"<annotations>{inner}</annotations>".encode()) | st.binary(max_size=100))
def test_read_of_anything_gives_boxes_with_area_or_a_data_set_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "v.xml"
        path.write_bytes(content)
        try:
            found = read_cvat(path)
        except DatasetError as error:
            assert str(error)
            return
    boxes = [shown for track in found.tracks for shown in track.boxes.values()]
    assert boxes and all((shown[2:] > shown[:2]).all() for shown in boxes)


def test_read_image_with_two_boxes_of_one_person_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "v.xml"
    who = '<attribute name="track_id">4</attribute>'
    shown = "".join(f'<box label="p" xtl="{left}" ytl="2" xbr="30" ybr="40">{who}</box>' for left in (1, 2))
    path.write_text(f'<annotations><image id="3" name="f" width="64" height="48">{shown}</image></annotations>')
    with pytest.raises(DatasetError, match="image 3: two boxes of track_id 4; expected one in a picture"):
        read_cvat(path)
