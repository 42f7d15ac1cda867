"""Boxes over a clean recording in a real browser: where the person is, and gone when they are switched off."""

from __future__ import annotations

import atexit
import base64
import shutil
import tempfile
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.entities import Frame, FrameResult, Image
from service.recording.recorder import RecorderConfig, SegmentRecorder
from service.storage.segment import Segment
from service.wire_messages import rfc3339
from tests.service.conftest import RunningApi
from tests.support.service import wait_for

SIZE_HW = (240, 320)
SQUARE = 40
STARTED_AT = 1_777_863_600.0
START_S = 12.0  # media time of the first picture

READ_BOTH = """
() => {
  const video = document.getElementById("video"), canvas = document.getElementById("video-overlay");
  const seen = document.createElement("canvas");
  seen.width = video.videoWidth; seen.height = video.videoHeight;
  const picture = seen.getContext("2d");
  picture.drawImage(video, 0, 0);
  const scale = Math.min(video.clientWidth / video.videoWidth, video.clientHeight / video.videoHeight);
  const left = (video.clientWidth - video.videoWidth * scale) / 2;
  const top = (video.clientHeight - video.videoHeight * scale) / 2;
  const drawn = document.createElement("canvas");
  drawn.width = seen.width; drawn.height = seen.height;
  drawn.getContext("2d").drawImage(canvas, left, top, video.videoWidth * scale, video.videoHeight * scale,
    0, 0, seen.width, seen.height);
  return { picture: seen.toDataURL("image/png"), drawn: drawn.toDataURL("image/png") };
}
"""


def square_at(time_s: float) -> tuple[int, int]:
    """→ its left and top: it goes to the right, a place of its own at each time."""
    return round(10 + 24 * time_s), 120


def picture_at(time_s: float) -> Image:
    image = np.full((*SIZE_HW, 3), 30, np.uint8)
    left, top = square_at(time_s)
    image[top : top + SQUARE, left : left + SQUARE] = 235
    return image


def message_at(time_s: float, after_s: float = 0.0) -> dict[str, Any]:
    left, top = square_at(time_s)
    height, width = SIZE_HW
    box = [left / width, top / height, (left + SQUARE) / width, (top + SQUARE) / height]
    track = {"track_id": 7, "box": box, "state": "confirmed", "action": "walking", "confidence": 0.8}
    return {"type": "tracks", "time_s": START_S + after_s + time_s, "tracks": [{**track, "provisional": False}]}


def recorded(folder: Path, overlay: bool = False, after_s: float = 0.0) -> Segment:
    """Ten seconds of the square at ten pictures a second; ``after_s`` later than STARTED_AT."""
    done: list[Segment] = []
    config = RecorderConfig(segment_s=60, min_free_bytes=0, queue_frames=500, queue_s=60)
    recorder = SegmentRecorder(folder, config, done.append, print, overlay=overlay)
    for index in range(100):
        at = index / 10
        frame = Frame(picture_at(at), index, START_S + after_s + at, STARTED_AT + after_s + at, time.monotonic())
        recorder.write(FrameResult(frame, ()), frame.image, [message_at(at, after_s)])
    recorder.close()
    return done[0]


@cache
def _kept(overlay: bool, after_s: float) -> Segment:
    """Encoded once a test process."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    return recorded(folder, overlay, after_s)


def recorded_once(folder: Path, overlay: bool = False, after_s: float = 0.0) -> Segment:
    """→ ``recorded``, as a copy in this folder."""
    kept = _kept(overlay, after_s)
    assert kept.events_path is not None
    folder.mkdir(parents=True, exist_ok=True)
    video, events = (Path(shutil.copy2(path, folder)) for path in (kept.path, kept.events_path))
    return replace(kept, path=video, events_path=events)


def index_it(api: RunningApi, overlay: bool = False) -> None:
    folder = api.settings.recordings_dir.resolve() / "str_0000000000000001"
    api.call(api.context.store.add_recording(recorded_once(folder, overlay)))


def open_player(page: Any) -> None:
    page.reload()
    page.locator("#recordings").get_by_role("button", name="Play").click()
    wait_for(lambda: page.evaluate("document.getElementById('video').readyState >= 2"), 20, "the video is there")


SEEK = """
async (at) => {
  const video = document.getElementById("video");
  const there = new Promise((done) => video.addEventListener("seeked", done, { once: true }));
  video.currentTime = at;
  await there;
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}
"""


def seek(page: Any, at: float) -> None:
    page.evaluate(SEEK, at)


def both(page: Any) -> tuple[np.ndarray, np.ndarray]:
    """→ the video's picture and the overlay, uint8 (H, W, 4) of the video's size."""
    seen = page.evaluate(READ_BOTH)
    return decoded(seen["picture"]), decoded(seen["drawn"])


def decoded(url: str) -> np.ndarray:
    png = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
    return np.asarray(cv2.imdecode(png, cv2.IMREAD_UNCHANGED))


def extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """→ left, top, right, bottom of what is True."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@pytest.mark.parametrize("width", [1280, pytest.param(420, marks=pytest.mark.exhaustive)])
def test_box_is_on_the_person_at_every_seek(page: Any, api: RunningApi, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    index_it(api)
    open_player(page)
    for n in range(20):
        seek(page, 0.05 + 0.1 * ((37 * n) % 98))
        picture, drawn = both(page)
        person = extent(picture[..., :3].mean(axis=2) > 130)
        lines = drawn[..., 3] > 60
        lines[: person[1] + SQUARE // 2] = False  # the label, which lies above the box
        left, _, right, bottom = extent(lines)
        assert np.abs(np.subtract((left, right, bottom), (person[0], *person[2:]))).max() <= 2, f"seek {n}"


def test_overlay_is_switched_off_and_on_by_the_key(page: Any, api: RunningApi) -> None:
    index_it(api)
    open_player(page)
    for at in (0.05, 3.05, 6.45, 9.75):
        seek(page, at)
        clean, drawn = both(page)
        assert drawn[..., 3].any(), at
        page.locator("#player").press("o")
        after, drawn = both(page)
        assert not drawn[..., 3].any() and np.array_equal(after, clean), f"the picture itself is clean at {at}"
        assert not page.locator("#overlay").is_checked()
        page.locator("#player").press("o")
        assert both(page)[1][..., 3].any(), at


def test_a_recording_that_was_drawn_upon_has_no_switch(page: Any, api: RunningApi) -> None:
    index_it(api, overlay=True)
    open_player(page)
    seek(page, 3.05)
    assert not both(page)[1][..., 3].any()
    assert page.locator("#overlay-switch").is_hidden()


def test_messages_are_sent_packed_to_those_who_take_it(api: RunningApi) -> None:
    index_it(api)
    recording = api.client.get("/v1/recordings").json()["items"][0]
    packed = api.client.get(recording["events"], headers={"Accept-Encoding": "gzip"})
    plain = api.client.get(recording["events"], headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert packed.text == plain.text and len(plain.text.splitlines()) == 100
    assert recording["overlay"] is False and recording["started_at"] == rfc3339(STARTED_AT)
