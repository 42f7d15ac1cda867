"""The labels that this project added fit each other, their tracks, their README and the data that they belong to."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.labels import agreed, read_passes
from models.data.imports.motchallenge import BoxTrack, read_mot
from models.data.tracks.labels_csv import LabelRow, read_labels
from tests.support.places import REPOSITORY, SHARED

FOLDER = REPOSITORY / "models" / "configs" / "surveillance_tracks"
README = (FOLDER / "README.md").read_text("utf-8")
FOUND_FROM = 1001  # IDs below are those of the tracks that came with the data
DATA = SHARED / "data" / "surveillance"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/surveillance")


def tracks_of(folder: Path, clip: str) -> dict[int, BoxTrack]:
    return {track.track_id: track for track in read_mot(folder / f"{clip}.txt")}


def rows_of(name: str) -> tuple[LabelRow, ...]:
    return read_labels(FOLDER / name)


def test_added_tracks_have_new_ids_and_lie_in_their_boxes() -> None:
    rows = rows_of("actions.csv")
    assert {f"{row.clip}.txt" for row in rows} == {path.name for path in (FOLDER / "mot").iterdir()}
    for row in rows:
        track = tracks_of(FOLDER / "mot", row.clip)[row.track]
        assert row.track >= FOUND_FROM
        assert min(track.boxes) <= row.start <= row.end <= track.last_frame, row


def test_relabelled_tracks_are_those_that_both_passes_call_the_same() -> None:
    rows = [row for row in agreed(read_passes(FOLDER / "passes.csv")) if int(row["track_id"]) < FOUND_FROM]
    expected = {(row["clip"], int(row["track_id"]), int(row["start_frame"]), row["label"]) for row in rows}
    assert {(row.clip, row.track, row.start, row.label) for row in rows_of("relabelled.csv")} == expected
    assert len(rows_of("relabelled.csv")) == len(expected) > 0


def test_readme_counts_what_is_there() -> None:
    for name in ("actions.csv", "relabelled.csv"):
        table = README.partition(f"\n`{name}`:\n\n")[2].partition("\n\n")[0]
        told = {label: (int(rows), int(groups)) for label, rows, groups in
                re.findall(r"^\| (\w+)[^|]*\| (\d+) \| (\d+) \|$", table, re.MULTILINE)}  # fmt: skip
        rows = rows_of(name)
        counts = Counter(row.label for row in rows)
        groups = {label: len({row.group for row in rows if row.label == label}) for label in counts}
        assert told == {label: (counts[label], groups[label]) for label in counts}, name


@needs_data
def test_relabelled_rows_take_the_place_of_unclear_ones_only() -> None:
    given = read_labels(DATA / "actions.csv")
    for row in rows_of("relabelled.csv"):
        before = [other for other in given if other.overlaps(row)]
        assert {other.label for other in before} == {"Unclear"}, row
        assert {(other.group, other.split) for other in before} == {(row.group, row.split)}
        assert sum(other.covered(row.start, row.end) for other in before) == row.end - row.start + 1


@needs_data
def test_commands_of_the_readme_merge_everything_once(tmp_path: Path) -> None:
    commands = README.partition("```sh\n")[2].partition("```")[0]
    script = commands.replace("SURVEILLANCE", str(DATA)).replace("models/configs/", f"{REPOSITORY}/models/configs/")
    subprocess.run(["bash", "-euc", script], cwd=tmp_path, check=True)
    merged = read_labels(tmp_path / "tracks" / "actions.csv")  # refuses rows of one track that overlap
    given, again, added = read_labels(DATA / "actions.csv"), rows_of("relabelled.csv"), rows_of("actions.csv")
    replaced = {other for other in given for row in again if other.overlaps(row)}
    assert Counter(merged) == Counter([*(row for row in given if row not in replaced), *again, *added])
    for clip in {row.clip for row in added}:
        both = tracks_of(tmp_path / "tracks", clip)
        assert both.keys() == tracks_of(DATA / "mot", clip).keys() | tracks_of(FOLDER / "mot", clip).keys()
