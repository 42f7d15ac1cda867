"""The labels of falls can be imported, and lie in their tracks."""

from __future__ import annotations

from models.data.imports.motchallenge import read_mot
from models.data.tracks.labels_csv import read_labels
from tests.support.places import REPOSITORY

FOLDER = REPOSITORY / "models" / "configs" / "home_tracks"


def test_rows_are_read_and_those_of_the_falls_lie_in_their_tracks() -> None:
    rows = read_labels(FOLDER / "actions.csv")
    assert {row.label for row in rows} == {"Falling", "Lying", "Sitting", "Standing", "Walking", "Other"}
    clips = {path.stem: {track.track_id: track for track in read_mot(path)} for path in (FOLDER / "mot").iterdir()}
    own = [row for row in rows if row.clip in clips]
    assert sum(row.label == "Falling" for row in own) >= 10
    for row in own:
        track = clips[row.clip][row.track]
        assert min(track.boxes) <= row.start <= row.end <= track.last_frame, row
