"""One camera's video of a case: copied to the bit, or encoded exactly, drawn upon, pixelated; gaps are seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.exports.camera_video import CameraVideo, Span, make_video
from service.exports.job import CameraJob, Piece, Wish
from service.exports.sidecar import read_lines
from tests.service.exports.recorded import (
    BEGIN,
    MEDIA_S,
    SIDE,
    TOP,
    damage,
    decoded,
    known_always,
    left_of,
    packets,
    record,
    shows,
    striped,
    tracks_line,
)

CLEAN, DRAWN, HIDDEN = Wish(), Wish(overlay=True), Wish(pixelate_others=True)


def made(
    folder: Path, pieces: list[Piece], span: tuple[float, float], wish: Wish = CLEAN, keep: tuple[int, ...] = ()
) -> CameraVideo:
    camera = CameraJob("str_a", "Gate", tuple(pieces), keep)
    whole = Span(BEGIN + span[0], BEGIN + span[1], timezone.utc)
    return make_video(camera, whole, wish, folder / "out.mp4", lambda _: None)


def test_clean_video_that_begins_with_a_keyframe_has_the_very_packets_that_were_recorded(tmp_path: Path):
    pieces = [record(tmp_path, 0, 4), record(tmp_path, 4, 4)]
    video = made(tmp_path, pieces, (1.0, 5.95))
    assert (video.made, video.gaps) == ("copied", [])
    recorded = [*packets(pieces[0].path)[10:], *packets(pieces[1].path)[:20]]
    assert packets(tmp_path / "out.mp4") == recorded
    assert video.moments == pytest.approx([BEGIN + 1 + n / 10 for n in range(50)], abs=0.002)


def test_clean_video_that_begins_within_a_group_is_encoded_and_shows_nothing_from_before(tmp_path: Path):
    video = made(tmp_path, [record(tmp_path, 0, 4)], (1.5, 3.0))
    assert video.made == "encoded" and "no keyframe" in video.why
    times, images = decoded(tmp_path / "out.mp4")
    assert times == pytest.approx([n / 10 for n in range(16)], abs=0.002)
    assert video.first_at == pytest.approx(BEGIN + 1.5, abs=0.001)
    assert all(shows(image, 1, 1.5 + at) for at, image in zip(times, images, strict=True))


def test_gap_in_the_recording_is_shown_as_one_and_told(tmp_path: Path):
    video = made(tmp_path, [record(tmp_path, 0, 2), record(tmp_path, 7, 2)], (0.0, 12.0))
    assert (video.made, video.why) == ("encoded", "a gap in the recording is shown as one")
    assert [(gap.since - BEGIN, gap.until - BEGIN) for gap in video.gaps] == [
        (pytest.approx(1.9), pytest.approx(7.0)),
        (pytest.approx(8.9), pytest.approx(12.0)),
    ]
    times, images = decoded(tmp_path / "out.mp4")
    plates = [(at, image) for at, image in zip(times, images, strict=True) if np.median(image) < 30]
    assert [round(at, 1) for at, _ in plates] == [2.9]
    assert times[-1] == pytest.approx(8.9, abs=0.01)


def test_segments_of_different_sizes_become_one_video_of_the_largest(tmp_path: Path):
    small = replace(record(tmp_path, 2, 2, size_hw=(120, 160)), size_hw=(120, 160))
    video = made(tmp_path, [record(tmp_path, 0, 2), small], (0.0, 4.0))
    assert (video.made, video.why) == ("encoded", "it was recorded in more than one coding")
    _, images = decoded(tmp_path / "out.mp4")
    assert len(images) == 40 and {image.shape for image in images} == {(240, 320, 3)}


def test_overlay_draws_each_person_where_the_line_says(tmp_path: Path):
    made(tmp_path, [record(tmp_path, 0, 2)], (0.0, 2.0), DRAWN)
    clean = replace(record(tmp_path / "clean", 0, 2))
    (times, drawn), (_, plain) = decoded(tmp_path / "out.mp4"), decoded(clean.path)
    for at, image, before in zip(times, drawn, plain, strict=True):
        changed = np.abs(image.astype(int) - before.astype(int)).max(axis=2) > 40
        rows, columns = np.nonzero(changed[TOP[2] : TOP[2] + SIDE, : left_of(2, at) + SIDE + 10])
        assert abs(columns.min() - left_of(2, at)) <= 2, "the left side of the box"
        assert len(rows) > SIDE


def test_others_are_hidden_and_who_is_kept_is_not(tmp_path: Path):
    video = made(tmp_path, [record(tmp_path, 0, 3)], (0.0, 3.0), HIDDEN, keep=(1,))
    times, images = decoded(tmp_path / "out.mp4")
    assert all(shows(image, 1, at) for at, image in zip(times, images, strict=True))
    assert not any(shows(image, 2, at) for at, image in zip(times, images, strict=True))
    assert (video.hidden, video.hidden_whole) == (30, 0)


def test_person_whose_box_is_missing_for_a_while_stays_hidden(tmp_path: Path):
    def lines(at: float) -> dict[str, Any]:
        return tracks_line(at, MEDIA_S, known=(1,) if 1.0 < at < 2.5 else (1, 2))

    made(tmp_path, [record(tmp_path, 0, 4, lines)], (0.0, 4.0), HIDDEN, keep=(1,))
    times, images = decoded(tmp_path / "out.mp4")
    assert not any(shows(image, 2, at) for at, image in zip(times, images, strict=True))


def test_person_is_hidden_over_the_border_of_two_files(tmp_path: Path):
    def lines(at: float) -> dict[str, Any]:
        return tracks_line(at, MEDIA_S, known=(1,) if 1.5 < at < 2.5 else (1, 2))

    pieces = [record(tmp_path, 0, 2, lines), record(tmp_path, 2, 2, lines)]
    made(tmp_path, pieces, (0.0, 4.0), HIDDEN, keep=(1,))
    times, images = decoded(tmp_path / "out.mp4")
    assert not any(shows(image, 2, at) for at, image in zip(times, images, strict=True))


def test_person_who_is_found_late_is_hidden_before(tmp_path: Path):
    def lines(at: float) -> dict[str, Any]:
        return tracks_line(at, MEDIA_S, known=(1,) if at < 0.8 else (1, 2))

    made(tmp_path, [record(tmp_path, 0, 2, lines)], (0.0, 2.0), HIDDEN, keep=(1,))
    times, images = decoded(tmp_path / "out.mp4")
    assert not any(shows(image, 2, at) for at, image in zip(times, images, strict=True))


def test_pictures_of_which_nobody_knows_who_was_in_view_are_hidden_whole(tmp_path: Path):
    def lines(at: float) -> dict[str, Any]:
        looked = not 1.0 < at < 4.0
        return tracks_line(at, MEDIA_S, known=(1, 2) if looked else (), detected=looked)

    video = made(tmp_path, [record(tmp_path, 0, 5, lines)], (0.0, 5.0), HIDDEN, keep=(1,))
    times, images = decoded(tmp_path / "out.mp4")
    whole = [round(at, 1) for at, image in zip(times, images, strict=True) if not striped(image, (0, 200, 320, 240))]
    assert whole == pytest.approx([2.1 + n / 10 for n in range(9)])
    assert video.hidden_whole == 9


def test_recording_without_a_sidecar_is_hidden_whole(tmp_path: Path):
    piece = replace(record(tmp_path, 0, 1), events_path=None)
    video = made(tmp_path, [piece], (0.0, 1.0), HIDDEN, keep=(1, 2))
    assert video.hidden_whole == 10


def test_old_recording_that_was_drawn_upon_is_not_drawn_upon_twice(tmp_path: Path):
    piece = replace(record(tmp_path, 0, 1), drawn=True)
    video = made(tmp_path, [piece], (0.0, 1.0), DRAWN)
    _, images = decoded(tmp_path / "out.mp4")
    assert video.drawn_already and all(shows(image, 1, n / 10) for n, image in enumerate(images))


def test_damaged_and_missing_files_are_told_and_cost_no_other(tmp_path: Path):
    pieces = [record(tmp_path, 0, 1), record(tmp_path, 1, 1, known_always), record(tmp_path, 2, 1)]
    pieces[1].path.write_bytes(b"no video")
    video = made(tmp_path, pieces, (0.0, 3.0))
    assert (video.unreadable, len(video.moments)) == ([pieces[1].path.name], 20)
    pieces[0].path.unlink()
    assert len(made(tmp_path, pieces, (0.0, 3.0)).moments) == 10


def test_sidecar_that_was_damaged_in_the_middle_is_read_as_far_as_it_goes(tmp_path: Path):
    piece = record(tmp_path, 0, 4, known_always)
    whole = read_lines(piece)
    assert piece.events_path is not None
    damage(piece.events_path)
    lines = read_lines(piece)
    assert 0 < len(lines) < len(whole) and lines == whole[: len(lines)]


def test_nothing_recorded_leaves_no_file(tmp_path: Path):
    video = made(tmp_path, [], (0.0, 60.0))
    assert (video.path, video.made, video.gaps[0].until - BEGIN) == (None, "none", 60.0)
    assert list(tmp_path.iterdir()) == []
