"""Everybody in a recording, frame by frame, and what a damaged sidecar still says."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest

from models.data.imports.cvat import ActionRange, read_cvat
from models.errors import UnreadableFileError
from service.recording.people import read_people
from service.recording.segment_files import sidecar_of
from service.recording.sidecar import read_tracks
from tests.service.commands.command_line import typed
from tests.service.exports.recorded import damage
from tests.service.review.footage import SIDE, TRACK, record, square_at

BEGIN = 1_790_000_000.0


def test_people_have_a_box_in_every_picture_between_two_analysed_ones(tmp_path: Path):
    video = record(tmp_path, BEGIN, 40.0, 4, seen=lambda time_s: time_s < 43)
    people = read_people(video)
    (track,) = people.tracks
    assert (people.frames, people.size_hw, track.track_id) == (100, (120, 160), TRACK)
    assert list(track.boxes) == list(range(1, 78)), "and a tenth of a second beyond the last"
    left, top = square_at(40 + 30 / 25)
    assert np.allclose(track.boxes[31], [left, top, left + SIDE, top + SIDE], atol=0.05)
    assert people.labels == (ActionRange(TRACK, 1, 77, "Walking"),)


def test_command_writes_what_cvat_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    video = record(tmp_path, BEGIN, 0.0, 2)
    assert typed("dataset", "export-cvat", video, "--output", tmp_path / "v.xml") == 0
    assert "1 people in 50 frames" in capsys.readouterr().out
    found = read_cvat(tmp_path / "v.xml")
    assert found.source == video.name and found.actions == read_people(video).labels


def test_sidecar_that_was_cut_off_says_what_came_before(tmp_path: Path):
    video = record(tmp_path, BEGIN, 0.0, 2)
    sidecar = sidecar_of(video)
    whole = list(read_tracks(sidecar))
    text = gzip.decompress(sidecar.read_bytes())
    plain = tmp_path / "cut.jsonl"
    plain.write_bytes(b'{"type":"action"}\n' + text[: len(text) // 2])
    assert 0 < len(list(read_tracks(plain))) < len(whole)
    sidecar.write_bytes(sidecar.read_bytes()[:-20])
    assert list(read_tracks(sidecar)) == whole[: len(list(read_tracks(sidecar)))]


def test_sidecar_that_was_damaged_in_the_middle_says_what_came_before(tmp_path: Path):
    sidecar = sidecar_of(record(tmp_path, BEGIN, 0.0, 2))
    whole = list(read_tracks(sidecar))
    damage(sidecar)
    with pytest.raises(zlib.error), gzip.open(sidecar) as file:
        file.read()
    left = list(read_tracks(sidecar))
    assert len(left) < len(whole) and left == whole[: len(left)]


def test_video_without_messages_is_refused(tmp_path: Path):
    video = record(tmp_path, BEGIN, 0.0, 1)
    sidecar_of(video).unlink()
    with pytest.raises(UnreadableFileError, match="no messages beside it"):
        read_people(video)
    video.write_bytes(b"nothing")
    with pytest.raises(UnreadableFileError, match="is no recording"):
        read_people(video)
