"""The overlay's thread: every frame in order, bounded, and its problems told."""

from __future__ import annotations

import threading
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.entities import Frame, FrameResult
from pipeline.overlay import draw
from service.offline.overlay_writer import WAITING, OverlayWriter


def result(index: int) -> FrameResult:
    image = np.full((48, 64, 3), 5 * index % 250, np.uint8)
    return FrameResult(Frame(image, index, index / 25, 0.0, 0.0), ())


def test_every_frame_is_written_in_order_at_its_time(tmp_path: Path):
    writer = OverlayWriter(tmp_path / "v.mp4", (48, 64), 64)
    for index in range(40):
        writer.put(result(index))
    writer.close()
    with av.open(str(tmp_path / "v.mp4")) as video:
        times = [frame.time for frame in video.decode(video=0)]
    assert times == pytest.approx([index / 25 for index in range(40)], abs=1e-3)


def test_put_waits_when_drawing_does_not_keep_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gate = threading.Event()

    def slow(*arguments):
        gate.wait(10)
        return draw(*arguments)

    monkeypatch.setattr("service.offline.overlay_writer.draw", slow)
    writer = OverlayWriter(tmp_path / "v.mp4", (48, 64), 64)
    for index in range(WAITING + 1):
        writer.put(result(index))
    late = threading.Thread(target=lambda: writer.put(result(WAITING + 1)))
    late.start()
    late.join(0.3)
    assert late.is_alive(), "there is no room"
    gate.set()
    late.join(10)
    assert not late.is_alive()
    writer.close()


def test_problem_of_the_thread_is_raised_at_the_next_frame_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("service.offline.overlay_writer.draw", full)
    writer = OverlayWriter(tmp_path / "v.mp4", (48, 64), 64)
    with pytest.raises(OSError, match="no space left"):
        for index in range(4 * WAITING):
            writer.put(result(index))
    with pytest.raises(OSError, match="no space left"):
        writer.close()


def test_abandoned_writer_ends_its_thread(tmp_path: Path):
    writer = OverlayWriter(tmp_path / "v.mp4", (48, 64), 64)
    writer.put(result(0))
    writer.abandon()
    assert not writer._thread.is_alive()
