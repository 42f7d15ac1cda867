"""Tables as editors, spreadsheets and scripts write them; ``tests/data/tables`` holds such files."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.data.manifest import Split
from models.data.spreadsheet import TableRow, named_cell, read_table
from models.data.tracks.labels_csv import LabelRow, read_labels
from models.errors import DatasetError

TABLES = sorted((Path(__file__).parents[2] / "data" / "tables").iterdir())
HEAD = "clip,track,start,end,label,group,split\n"
ROW = LabelRow("v", 2, 1, 30, "Walking", "g", Split.VAL)
PLAIN = HEAD + "v,2,1,30,Walking,g,val\n"
UMLAUT = "clip;track;label\r\nv;2;Schlägerei\r\n"


def written(tmp_path: Path, content: bytes | str) -> Path:
    path = tmp_path / "labels.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_table_from_the_field_is_read_as_meant(path: Path) -> None:
    rows = read_labels(path)
    assert len(rows) == 37
    assert rows[0].clip == "Mein_Video_2_1_20"
    assert (rows[0].track, rows[0].start, rows[0].end) == (1, 1, 30)
    labels = {"case_mix": {"Walking"}, "nfc_nfd": {"Écart"}}
    assert {row.label for row in rows} == labels.get(path.stem, {"Walking", "Standing", "Schlägerei"})
    splits = {"split_caps": Split.TRAIN, "split_validation": Split.VAL}
    assert {row.split for row in rows} == {splits.get(path.stem, Split.NONE)}


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("\n", "\r"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        "sep=,\n" + PLAIN,
        '"sep=;"\r\n' + PLAIN.replace(",", ";"),
        "sep=;\n" + PLAIN,  # saved again with commas
        "\n,,,,,,\n" + PLAIN + ",,,,,,\n ,\u00a0,,,,,\n",
        PLAIN.replace("track", "Track ID").replace("start", "START FRAME").replace("end", "end-frame"),
        PLAIN.replace("2,1,30", '"2.0", 1.00 ,"30,0"'),
        PLAIN.replace("val", " Validation "),
        PLAIN.replace("val\n", "val,,,\n"),
        PLAIN.replace("v,2", "v\u200b,\ufeff2"),
        PLAIN.replace("Walking", ' "Walking"'),
        HEAD.replace("clip,", "comment,clip,") + '"two\nlines",v,2,1,30,Walking,g,val\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_read_takes_what_means_the_same(tmp_path: Path, text: str, encoding: str) -> None:
    assert read_labels(written(tmp_path, text.encode(encoding))) == (ROW,)


def test_read_ansi_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        (row,) = read_labels(written(tmp_path, UMLAUT.encode("cp1252")))
    assert row.label == "Schlägerei"
    assert "read as Windows-1252: 'Schlägerei'" in caplog.text


def test_read_labels_of_one_class_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "clip,track,label\nv,1,Walking\nv,2,walk ing\nv,3,Walking\n"
    with caplog.at_level(logging.WARNING):
        assert {row.label for row in read_labels(written(tmp_path, text))} == {"Walking"}
    assert "'Walking' is also written 'walk ing'" in caplog.text


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (HEAD + "v,2,1.5,30,A,,\n", "labels.csv:2, column start: expected a whole number, got '1.5'"),
        (HEAD + "v,2,1.000,30,A,,\n", "labels.csv:2, column start: expected a whole number, got '1.000'"),
        (HEAD + "\n\nv,x,1,30,A,,\n", "labels.csv:4, column track: expected a whole number, got 'x'"),
        (HEAD + "v,,1,30,A,,\n", "column track: expected a whole number, got 'an empty cell'"),
        (HEAD + "v,-1,1,30,A,,\n", "column track: expected a whole number, got '-1'"),
        (HEAD + "v,2," + "9" * 5000 + ",30,A,,\n", "column start: expected a whole number"),
        (HEAD + ",2,1,30,A,,\n", "column clip: expected the name of a video"),
        (HEAD + "v,2,9,3,A,,\n", "column end: expected a frame from start (9) on, got 3"),
        (HEAD + "v,2,1,3,A,,half\n", "column split: expected the split train, val or test, got 'half'"),
        (HEAD + "v,2,1,3,#N/A,,\n", "column label: expected text, got #N/A, a formula that failed"),
        (HEAD + "v,2,1,3,Walking, fast,g,val\n", "labels.csv:2: 8 cells, the headings are 7"),
        (HEAD + 'v,2,1,3,"Walking,g,val\nv,3,1,3,A,,\n', "labels.csv:2: a row that cannot be taken apart"),
        ("clip,track,label,Label\nv,1,A,B\n", "has two columns label"),
        ("v,2,1,30,Walking,g,val\n", "lacks the columns clip, track, label"),
        ("", "lacks the columns clip, track, label"),
        (b"PK\x03\x04 and so on", "is a workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1 and so on", "is a workbook"),
        (HEAD.encode() + "v,2,1,3,É,,\n".encode() + b"v,3,1,3,\xc9,,\n", "labels.csv:3: neither UTF-8"),
        (HEAD.encode() + b"v,2,1,3,\x81\n", "labels.csv:2: neither UTF-8 nor Windows-1252"),
        (HEAD + "v,2,1,3,A\0,,\n", "labels.csv:2: binary data"),
        (b"\xff\xfec\0l\0i", "labels.csv:1: cannot be read as utf-16-le"),
    ],
)
def test_read_of_what_cannot_be_meant_says_where_in_one_sentence(
    tmp_path: Path, content: bytes | str, sentence: str
) -> None:
    with pytest.raises(DatasetError) as caught:
        read_labels(written(tmp_path, content))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_read_lines_are_counted_in_the_file(tmp_path: Path) -> None:
    text = 'sep=;\n\nclip;track;label\n"a\nb";1;A\n\nv;2;B\n'
    rows = list(read_table(written(tmp_path, text), ("clip", "track"), ("clip",)))
    assert [row.where.rpartition(":")[2] for row in rows] == ["4", "7"]


TEXT = st.text(max_size=20) | st.text(alphabet='clip,trackslend;\t|"\n\r.0123456789 \0\ufeff=#', max_size=60)


@given(st.binary(max_size=200) | st.lists(TEXT, max_size=8).map(lambda parts: (HEAD + "".join(parts)).encode("utf-8")))
@example(b"\xef\xbb\xbf\xef\xbb\xbfclip,track,label")
@example(b"sep=\n")
@example(b'sep="\nclip')
@example(b"\0" * 64)
def test_read_of_any_bytes_gives_rows_or_a_data_set_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), content)
        try:
            rows = read_labels(path)
        except DatasetError as error:
            assert str(error)
            return
    assert all(row.clip and row.track >= 0 and row.start >= 0 for row in rows)


CELL = st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"]), max_size=12)


@given(
    st.lists(CELL, min_size=1, max_size=6),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(",;\t|"),
)
def test_read_gives_back_the_cells_of_a_table_written_by_any_program(
    labels: list[str], encoding: str, separator: str
) -> None:
    quoted = (label.replace('"', '""') for label in labels)
    rows = (f'v{separator}{index}{separator}"{cell}"' for index, cell in enumerate(quoted))
    lines = [separator.join(("clip", "track", "label")), *rows]
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), "\r\n".join(lines).encode(encoding))
        found = list(read_table(path, ("clip", "track", "label"), ("clip",)))
    assert [row.cells["label"] for row in found] == labels


def test_read_row_shorter_than_the_headings_ends_in_empty_cells(tmp_path: Path) -> None:
    (row,) = read_table(written(tmp_path, "label,clip,group\nA\n"), ("label", "clip"), ("clip",))
    assert dict(row.cells) == {"label": "A", "clip": "", "group": ""}
    with pytest.raises(ValueError, match="column clip: expected the name of a video, got an empty cell"):
        named_cell(row, "clip")


@pytest.mark.parametrize(("text", "value"), [("1.5", 1.5), ("1,5", 1.5), (" -2e1 ", -20.0), (".5", 0.5), ("", 7.0)])
def test_number_takes_a_point_or_a_comma(text: str, value: float) -> None:
    assert TableRow("t.csv:2", {"start_s": text}).number("start_s", empty=7) == value


@pytest.mark.parametrize("text", ["", "nan", "inf", "1e999", "1,234.5", "1.2.3", "two", "1_0", "٣", "#REF!"])
def test_number_that_is_none_names_the_column(text: str) -> None:
    with pytest.raises(ValueError, match="column start_s: expected"):
        TableRow("t.csv:2", {"start_s": text}).number("start_s")


def test_read_exact_keeps_blanks_as_they_are_written(tmp_path: Path) -> None:
    path = written(tmp_path, 'clip,group\n take 1, "g\n')
    (row,) = read_table(path, ("clip", "group"), ("clip",), exact=True)
    assert dict(row.cells) == {"clip": " take 1", "group": ' "g'}
