"""Clips are copied out of recorded segments: from a keyframe on, over their borders, nothing encoded anew."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from service.recording.clip_file import Source, cut_clip
from service.recording.segment_writer import SegmentWriter
from tests.support.media import picture

SIZE = (120, 160)
BEGIN = 1_777_863_600.0


def record(folder: Path, started_at: float, seconds: float, size_hw: tuple[int, int] = SIZE) -> Source:
    """A segment as the recorder writes it, ten pictures a second, each with its own place of the bar."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{started_at:.0f}.mp4"
    writer = SegmentWriter(path, size_hw, preset="ultrafast")
    for index in range(round(seconds * 10)):
        writer.write(picture(index, size_hw), index / 10)
    writer.close()
    return Source(path, started_at)


def times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        frames = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    return frames


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.video[0]) if packet.size]


def test_clip_begins_with_the_keyframe_before_and_has_the_very_packets_that_were_recorded(tmp_path: Path):
    source = record(tmp_path, BEGIN, 10)
    target = tmp_path / "inc" / "clip.mp4"
    length_s = cut_clip([source], BEGIN + 3.55, BEGIN + 6.0, target)
    assert times(target) == pytest.approx([index / 10 for index in range(31)], abs=0.001), "from 3.0 to 6.0"
    assert length_s == pytest.approx(3.1, abs=0.15)
    recorded = packets(source.path)
    assert packets(target) == recorded[30:61]
    assert sorted(path.name for path in target.parent.iterdir()) == ["clip.mp4"]


def test_clip_goes_on_over_the_border_of_segments_with_the_pause_between_them(tmp_path: Path):
    sources = [record(tmp_path, BEGIN, 4), record(tmp_path, BEGIN + 4.5, 4)]
    cut_clip(sources, BEGIN + 2, BEGIN + 6.5, tmp_path / "clip.mp4")
    shown = times(tmp_path / "clip.mp4")
    expected = [index / 10 for index in range(20)] + [2.5 + index / 10 for index in range(21)]
    assert shown == pytest.approx(expected, abs=0.002)


def test_clip_has_an_index_in_front_so_that_browsers_play_it_while_it_comes(tmp_path: Path):
    cut_clip([record(tmp_path, BEGIN, 3)], BEGIN, BEGIN + 3, tmp_path / "clip.mp4")
    content = (tmp_path / "clip.mp4").read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


def test_clip_that_begins_before_what_was_recorded_begins_with_it(tmp_path: Path):
    cut_clip([record(tmp_path, BEGIN, 3)], BEGIN - 5, BEGIN + 1, tmp_path / "clip.mp4")
    assert times(tmp_path / "clip.mp4")[:2] == pytest.approx([0.0, 0.1], abs=0.001)


def test_segment_of_another_size_ends_the_clip(tmp_path: Path):
    sources = [record(tmp_path, BEGIN, 2), record(tmp_path, BEGIN + 2, 2, (60, 80))]
    cut_clip(sources, BEGIN + 1, BEGIN + 3, tmp_path / "clip.mp4")
    assert len(times(tmp_path / "clip.mp4")) == 10


def test_nothing_in_that_time_and_broken_segments_are_errors_that_leave_no_file(tmp_path: Path):
    source = record(tmp_path / "in", BEGIN, 2)
    with pytest.raises(ValueError, match="nothing was recorded in that time"):
        cut_clip([source], BEGIN + 60, BEGIN + 70, tmp_path / "out" / "clip.mp4")
    source.path.write_bytes(source.path.read_bytes()[:300])
    with pytest.raises(ValueError, match="cannot be read"):
        cut_clip([source], BEGIN, BEGIN + 1, tmp_path / "out" / "clip.mp4")
    assert list((tmp_path / "out").iterdir()) == []


def test_times_are_kept_to_the_tick(tmp_path: Path):
    cut_clip([record(tmp_path, BEGIN, 2)], BEGIN, BEGIN + 2, tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert container.streams.video[0].time_base == Fraction(1, 90_000)
