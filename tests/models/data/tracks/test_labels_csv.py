from __future__ import annotations

from pathlib import Path

import pytest

from models.data.manifest import Split
from models.data.tracks.labels_csv import (
    LabelRow,
    add_missing,
    empty_rows,
    merge_actions,
    read_actions,
    read_labels,
    write_labels,
)
from models.errors import DatasetError
from tests.models.data.tracks.test_group import even, track, video


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(text, "utf-8")
    return path


def test_read_takes_both_headers_and_what_spreadsheets_write(tmp_path: Path) -> None:
    expected = (LabelRow("v", 2, 1, 30, "Walking", "g", Split.VAL),)
    plain = "clip,track,start,end,label,group,split\nv,2,1,30,Walking,g,val\n"
    other = "clip,track_id,start_frame,end_frame,label,source_group,split\nv,2,1,30,Walking,g,val\n"
    assert read_labels(table(tmp_path, plain)) == expected
    assert read_labels(table(tmp_path, other)) == expected
    assert read_labels(table(tmp_path, "\ufeff" + plain.replace(",", ";").replace("\n", "\r\n"))) == expected


def test_read_fills_in_what_may_be_left_empty(tmp_path: Path) -> None:
    assert read_labels(table(tmp_path, "clip,track,start,end,label\nv,2,,,Walking\n")) == (
        LabelRow("v", 2, 0, 0, "Walking"),
    )


def test_read_lists_every_wrong_line_and_overlap(tmp_path: Path) -> None:
    rows = "v,1,5,2,A,,\nv,x,1,2,A,,\n,1,1,2,A,,\nv,1,1,2,A,,half\nv,3,1,20,A,,\nv,3,20,30,B,,\n"
    with pytest.raises(DatasetError) as caught:
        read_labels(table(tmp_path, "clip,track,start,end,label,group,split\n" + rows))
    lines = str(caught.value).splitlines()
    assert len(lines) == 5
    assert "track 3 overlap: 1-20 A and 20-30 B" in lines[-1]


def test_read_without_a_column_says_which(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="lacks the columns track, label"):
        read_labels(table(tmp_path, "clip,action\nv,Walking\n"))


def test_write_then_read_gives_the_same_rows_in_order(tmp_path: Path) -> None:
    rows = (LabelRow("b", 1, 1, 5, "Walking, fast", "g", Split.TRAIN), LabelRow("a", 2, 1, 5))
    write_labels(tmp_path / "labels.csv", rows)
    assert read_labels(tmp_path / "labels.csv") == (rows[1], rows[0])


def test_empty_rows_cover_every_track() -> None:
    item = video(track(even(250)), track(even(10), track_id=2))
    assert empty_rows([item]) == (LabelRow("v", 1, 1, 250, "", "v"), LabelRow("v", 2, 1, 10, "", "v"))


def test_empty_rows_pieces_follow_each_other_and_last_equally_long() -> None:
    rows = empty_rows([video(track(even(250)))], every_s=4)
    assert [row.start for row in rows[1:]] == [row.end + 1 for row in rows[:-1]]
    lengths = [row.end - row.start + 1 for row in rows]
    assert (len(rows), sum(lengths)) == (3, 250)
    assert max(lengths) - min(lengths) <= 2


def test_add_missing_leaves_tracks_alone_that_are_in_the_table() -> None:
    known = LabelRow("v", 1, 3, 9, "Walking")
    proposed = (LabelRow("v", 1, 1, 9), LabelRow("v", 2, 1, 9))
    assert add_missing((known,), proposed) == (known, proposed[1])


def test_merge_replaces_rows_without_label_and_keeps_a_persons_work() -> None:
    videos = [video(track(even(100)), track(even(100), track_id=2))]
    rows = [LabelRow("v", 1, 1, 100, "", "v"), LabelRow("v", 2, 1, 50, "Standing"), LabelRow("v", 2, 51, 100)]
    imported = [
        LabelRow("v", 1, 1, 40, "Walking"),
        LabelRow("v", 1, 41, 100, "Fighting"),
        LabelRow("v", 2, 1, 50, "Walking"),
        LabelRow("v", 2, 1, 50, "Standing"),
        LabelRow("v", 3, 1, 50, "Walking"),
        LabelRow("w", 1, 1, 50, "Walking"),
        LabelRow("v", 1, 200, 300, "Walking"),
    ]
    merged = merge_actions(rows, imported, videos)
    assert {(row.track, row.start, row.label) for row in merged.rows} == {
        (1, 1, "Walking"),
        (1, 41, "Fighting"),
        (2, 1, "Standing"),
        (2, 51, ""),
    }
    assert (merged.taken, len(merged.left_out), len(merged.conflicts)) == (3, 3, 1)
    assert "1-50 Walking, but 1-50 Standing stays" in merged.conflicts[0]
    again = merge_actions(merged.rows, imported[:2], videos)
    assert (set(again.rows), again.conflicts) == (set(merged.rows), ())


def test_merge_finds_the_video_by_file_name() -> None:
    merged = merge_actions((), [LabelRow("some folder/v.mp4", 1, 1, 9, "Walking")], [video(track(even(10)))])
    assert [(row.clip, row.group) for row in merged.rows] == [("v", "v")]


def test_read_actions_of_a_cvat_file_names_the_video(tmp_path: Path) -> None:
    path = tmp_path / "v.xml"
    shown = '<box frame="0" outside="0" xtl="0" ytl="0" xbr="9" ybr="9"/>'
    path.write_text(f'<annotations><track id="4" label="Walking">{shown}</track></annotations>')
    assert read_actions(path) == (LabelRow("v", 5, 1, 1, "Walking"),)
