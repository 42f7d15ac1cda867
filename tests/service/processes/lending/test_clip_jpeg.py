"""Clips as JPEG: what crosses is small, comes out nearly the same, and nothing else is taken for it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.classifier import ActionClassifier
from pipeline.clips import back_and_forth
from service.processes.lending.clip_jpeg import MAX_BYTES, MAX_SIDE, pack_clip, unpack_clip
from tests.support.places import REPOSITORY
from tests.support.street import ALONE, street_window

SHAPE = (64, 112, 112, 3)


def walker(length: int = SHAPE[0], side: int = SHAPE[1]) -> list[NDArray[np.uint8]]:
    """A person of the bundled sample, as a camera of ten pictures a second fills a clip's grid."""
    window = street_window()
    crops = [cv2.resize(window[frame], (side, side), interpolation=cv2.INTER_AREA) for frame in ALONE]
    return [np.asarray(crops[min(place * 10 // 25, len(crops) - 1)]) for place in range(length)]


def test_clip_comes_out_in_order_and_nearly_the_same():
    clip = walker()
    order, jpeg = pack_clip(clip)
    found = np.stack(unpack_clip(order, jpeg, SHAPE)).astype(int)
    assert found.shape == SHAPE
    assert np.abs(found - np.stack(clip)).mean() < 2.5
    assert jpeg.nbytes < np.stack(clip).nbytes / 10


def test_colours_keep_their_places():
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    (found,) = unpack_clip(*pack_clip([red]), (1, 8, 8, 3))
    assert np.abs(found.astype(int) - red).max() < 8


def test_pictures_that_are_repeated_cross_once():
    pictures = [np.full((16, 16, 3), value, np.uint8) for value in (10, 120, 240)]
    clip = [pictures[index] for index in back_and_forth(3, 8)]
    order, jpeg = pack_clip(clip)
    assert len(set(order)) == 3
    assert jpeg.nbytes < pack_clip([np.full((16, 16, 3), 7 * n, np.uint8) for n in range(8)])[1].nbytes
    found = unpack_clip(order, jpeg, (8, 16, 16, 3))
    assert [round(float(each.mean()), -1) for each in found] == [round(float(each.mean()), -1) for each in clip]


def test_network_says_the_same_of_what_crossed():
    classifier = ActionClassifier.load(
        REPOSITORY / "weights" / "surveillance-light",
        "openvino",
        cache_dir=REPOSITORY / ".cache" / "tests",
        threads=1,
    )
    length, side = classifier.clip_shape[0], classifier.clip_shape[1]
    clip = walker(length, side)
    crossed = unpack_clip(*pack_clip(clip), classifier.clip_shape)
    before, after = classifier.predict(np.stack([np.stack(clip), np.stack(crossed)]))
    assert before.argmax() == after.argmax()
    assert np.abs(before - after).max() < 0.05


def header_of(height: int, width: int) -> NDArray[np.uint8]:
    """A small JPEG that says of itself that it is so large."""
    _, data = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))
    at = bytes(data).index(b"\xff\xc0")
    data = data.reshape(-1).copy()
    data[at + 5 : at + 9] = np.frombuffer(height.to_bytes(2, "big") + width.to_bytes(2, "big"), np.uint8)
    return np.asarray(data, np.uint8)


def test_jpeg_bomb_is_refused_before_a_pixel_is_decoded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(ValueError, match=r"2 pictures, 8×16 pixels, got 65535×65535"):
        unpack_clip((0, 1), header_of(65_535, 65_535), (2, 8, 8, 3))


ORDER, JPEG = pack_clip([np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 200, np.uint8)])


@pytest.mark.parametrize(
    ("order", "jpeg", "words"),
    [
        ((0,), JPEG, "expected 2 places"),
        ((0, -1), JPEG, "expected 2 places"),
        ((0, 2), JPEG, "expected 2 places"),
        ((0, 0), JPEG, "1 pictures, 8×8 pixels, got 8×16"),
        (ORDER, np.zeros(0, np.uint8), "at most"),
        (ORDER, np.zeros(MAX_BYTES + 1, np.uint8), "at most"),
        (ORDER, JPEG.reshape(1, -1), "at most"),
        (ORDER, np.frombuffer(b"GIF89a" * 20, np.uint8), "got something else"),
        (ORDER, header_of(16, 8)[:200], "can be decoded|got something else"),
    ],
)
def test_what_is_no_such_clip_is_refused_and_said(order: tuple[int, ...], jpeg: NDArray[np.uint8], words: str):
    with pytest.raises(ValueError, match=words):
        unpack_clip(order, jpeg, (2, 8, 8, 3))


def test_clip_that_no_jpeg_can_hold_is_refused():
    rows = [np.full((MAX_SIDE // 2 + 1, 1, 3), value, np.uint8) for value in (1, 2)]
    with pytest.raises(ValueError, match="at most 65500 rows"):
        pack_clip(rows)
