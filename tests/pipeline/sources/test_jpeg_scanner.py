"""Pictures are found in whatever bytes a camera wraps them in, and no bytes do harm."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.jpeg_scanner import JpegScanner, picture_size
from tests.support.media import jpeg

PICTURES = [jpeg(index, (16, 16 + 2 * index)) for index in range(6)]


def scan(data: bytes, cuts: list[int] | None = None, max_bytes: int = 1 << 20) -> list[bytes]:
    """All pictures of ``data``, fed in the pieces between ``cuts``."""
    scanner, found = JpegScanner(max_bytes), []
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts or [])})
    for start, end in itertools.pairwise(edges):
        found += scanner.feed(data[start:end])
    return found + scanner.finish()


HEADS = {
    "as-it-should-be": lambda body: b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body),
    "image/jpg": lambda body: b"--frame\r\nContent-Type: image/jpg\r\nContent-Length: %d\r\n\r\n" % len(body),
    "length-too-small": lambda _: b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 10\r\n\r\n",
    "length-too-large": lambda _: b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 1000000\r\n\r\n",
    "length-no-number": lambda _: b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: many\r\n\r\n",
    "no-header": lambda _: b"--frame\r\n\r\n",
    "no-empty-line": lambda _: b"--frame\r\n",
    "bare-newlines": lambda _: b"--frame\nContent-Type: image/jpeg\n\n",
    "more-dashes": lambda _: b"\r\n----frame--x\r\nContent-type:image/jpeg;charset=x\r\n\r\n",
    "no-boundary": lambda _: b"",
    "padding": lambda _: b"\0" * 100,
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_every_picture_is_found_however_it_is_wrapped(head: object) -> None:
    data = b"".join(head(body) + body + b"\r\n" for body in PICTURES)  # type: ignore[operator]
    assert scan(data) == PICTURES


@pytest.mark.parametrize("keep", [0.02, 0.1, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", ["as-it-should-be", "no-header"])
def test_picture_that_is_cut_off_costs_itself_only(name: str, keep: float) -> None:
    head = HEADS[name]
    bodies = [body[: int(len(body) * keep)] if index % 3 == 2 else body for index, body in enumerate(PICTURES)]
    found = scan(b"".join(head(body) + body + b"\r\n" for body in bodies))
    assert [picture for picture in found if picture in PICTURES] == [PICTURES[index] for index in (0, 1, 3, 4)]


def test_picture_that_is_cut_off_in_its_scan_costs_itself_only_without_boundaries() -> None:
    bodies = [body[:-40] if index % 3 == 2 else body for index, body in enumerate(PICTURES)]
    found = scan(b"".join(bodies))
    assert [picture for picture in found if picture in PICTURES] == [PICTURES[index] for index in (0, 1, 3, 4)]


def test_thumbnail_inside_a_picture_is_none_of_its_own() -> None:
    thumbnail = b"Exif\0\0" + PICTURES[0]
    whole = PICTURES[3][:2] + b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + PICTURES[3][2:]
    assert scan(whole + whole) == [whole, whole]


def test_picture_without_its_end_marker_comes_out_at_the_next_boundary() -> None:
    head = HEADS["as-it-should-be"](b"")
    found = scan(head + PICTURES[0][:-2] + b"\r\n" + head + PICTURES[1])
    assert [picture.removesuffix(b"\r\n") for picture in found] == [PICTURES[0][:-2], PICTURES[1]]


def test_what_never_ends_is_thrown_away() -> None:
    scanner = JpegScanner(max_bytes=10_000)
    endless = PICTURES[0][:-2]
    assert scanner.feed(endless) == []
    for _ in range(200):
        scanner.feed(b"\0" * 1000)
        assert scanner.held <= 11_000
    assert scanner.oversized > 0
    assert scanner.feed(PICTURES[1] + PICTURES[2])[-1] == PICTURES[2]


CUTS = st.lists(st.integers(0, 1 << 20), max_size=12)
LINES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40).map(lambda text: text.encode())
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=3, max_size=40).map(
    lambda text: b"--" + text.encode()
)


@given(boundary=NAMES, heads=st.lists(st.lists(LINES, max_size=4), min_size=6, max_size=6), cuts=CUTS)
def test_whatever_the_headers_say_all_pictures_come_out(
    boundary: bytes, heads: list[list[bytes]], cuts: list[int]
) -> None:
    parts = zip(heads, PICTURES, strict=True)
    data = b"".join(b"\r\n".join([boundary, *head, b"", b""]) + body + b"\r\n" for head, body in parts)
    assert scan(data, cuts) == PICTURES


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from(
            [*PICTURES, b"--frame\r\n", b"\r\n--frame--\r\n", b"\xff\xd8\xff", b"\xff\xd9", b"\xff\xda\0\x02"]
        ),
        st.tuples(st.sampled_from(PICTURES), st.integers(0, 900)).map(lambda cut: cut[0][: cut[1]]),
    ),
    max_size=12,
).map(b"".join)


@given(data=PIECES, cuts=CUTS)
def test_how_bytes_are_split_makes_no_difference(data: bytes, cuts: list[int]) -> None:
    assert scan(data, cuts) == scan(data)


@given(data=PIECES, cuts=CUTS)
def test_any_bytes_are_survived_and_bounded(data: bytes, cuts: list[int]) -> None:
    found = scan(data, cuts, max_bytes=500)
    assert sum(map(len, found)) <= len(data)
    for piece in found:
        size = picture_size(piece)
        assert size is None or (0 <= size[0] < 65536 and 0 <= size[1] < 65536)


EDGE = b"\r\n--edge\r\nContent-Type: image/jpeg\r\n\r\n"
LARGE = PICTURES[0][:2] + b"\xff\xfe\xff\xf0" + bytes(0xFFEE) + PICTURES[0][2:]
# Rubbish may begin a segment of up to 64 KiB, or teach a wrong boundary, which is given 256 KiB to come again.
LATER = b"".join(EDGE + body for body in [LARGE] * 6 + PICTURES)


@given(before=PIECES)
def test_pictures_after_rubbish_are_found_again(before: bytes) -> None:
    assert scan(before + LATER)[-6:] == PICTURES


def test_size_that_a_picture_declares() -> None:
    assert picture_size(jpeg(0, (120, 160))) == (160, 120)
    assert picture_size(b"\xff\xd8\xff\xd9") is None
