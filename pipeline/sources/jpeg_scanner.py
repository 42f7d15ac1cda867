"""Finds the JPEG pictures in what an HTTP camera sends, however it wraps them.

Cameras send ``multipart/x-mixed-replace`` (RFC 2046): a boundary line, headers, a picture, again and again. What they
declare is wrong too often to be used (``image/jpg``, no header at all, another length, a boundary with or without
dashes), so only two things count: the boundary line, learnt from what stands before a picture, and the markers inside a
picture (ITU-T T.81, annex B), which say where it ends. A damaged picture costs itself and no other.
"""

from __future__ import annotations

import re

_START = b"\xff\xd8\xff"
_BOUNDARY = re.compile(rb"(?:^|[\r\n])(--[\x21-\x7e]{1,200})[ \t]*\r?\n")
# In entropy-coded data only 0 and the restart markers may follow 0xff; fill bytes are 0xff themselves.
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_TEXT_KEPT = 4096  # of what stands between two pictures: no camera writes longer headers
_MAX_BYTES = 32 << 20  # no picture that is allowed here needs more
_SIZED = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})  # frame headers
_PATIENCE_BYTES = 1 << 18  # how long the next boundary is waited for in a damaged picture
_MAX_BLANKS = 16  # behind a boundary
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length


class JpegScanner:
    """``feed`` gives the pictures that end in what was fed, ``finish`` what was begun. Bounded in memory.

    A picture that is cut off comes out as far as it goes: whether it can be decoded is the decoder's to say.
    ``oversized`` counts those thrown away because they never ended.
    """

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self.oversized = 0
        self._max_bytes = max_bytes
        self._data = bytearray()
        self._delimiter: re.Pattern[bytes] | None = None
        self._boundary_size = 0
        self._inside = False  # the data begin with a picture's first byte
        self._next_marker()

    @property
    def held(self) -> int:
        """Bytes kept for later."""
        return len(self._data)

    def feed(self, data: bytes) -> list[bytes]:
        """Any bytes, in any pieces. → the pictures that end in them."""
        self._data += data
        pictures: list[bytes] = []
        while self._inside or self._find_start():
            size = self._picture_size()
            if size is None:
                self._limit()
                break
            pictures.append(bytes(self._data[:size]))
            self._drop(size)
        return pictures

    def finish(self) -> list[bytes]:
        """At the end of the data. → a last picture without its end, or nothing."""
        rest = [bytes(self._data)] if self._inside else []
        self._drop(len(self._data))
        return rest

    def _find_start(self) -> bool:
        start = self._data.find(_START)
        if start < 0:
            del self._data[:-_TEXT_KEPT]
            return False
        lines = _BOUNDARY.findall(self._data, max(0, start - _TEXT_KEPT), start)
        if lines:
            self._delimiter = re.compile(re.escape(bytes(lines[-1])) + rb"(?:--|[ \t]{0,%d}[\r\n])" % _MAX_BLANKS)
            self._boundary_size = len(lines[-1])
        del self._data[:start]
        self._inside = True
        return True

    def _drop(self, size: int) -> None:
        del self._data[:size]
        self._inside = False
        self._next_marker()

    def _next_marker(self) -> None:
        """At the start of a picture."""
        self._at = 2
        self._scanning = self._lost = False
        self._searched = self._sought = 0  # up to where boundaries and starts have been looked for

    def _limit(self) -> None:
        if len(self._data) > self._max_bytes:
            self.oversized += 1
            self._drop(2)

    def _picture_size(self) -> int | None:
        """→ bytes of the picture at the start of the data; None while its end has not come."""
        end = self._walk()
        cut = self._next_boundary()
        if cut is not None and (end is None or cut < end):
            return cut
        return end

    def _next_boundary(self) -> int | None:
        if self._delimiter is None:
            return None
        found = self._delimiter.search(self._data, self._searched)
        # Once more from where one that has not wholly come may begin; blanks may stand behind it.
        self._searched = max(0, len(self._data) - self._boundary_size - _MAX_BLANKS - 2)
        return found.start() if found else None

    def _walk(self) -> int | None:
        """From marker to marker. → where the picture ends: behind its end marker, or where the next one begins."""
        while not self._lost:
            end = self._pass_scan() if self._scanning else self._pass_segment()
            if end is not None:
                return end or None
        return self._next_start()

    def _pass_scan(self) -> int | None:
        """Over entropy-coded data. → the picture's end, 0 to wait for more, None to go on."""
        found = _SCAN_END.search(self._data, self._at)
        if found is None:
            self._at = max(self._at, len(self._data) - 1)
            return 0
        self._at, self._scanning = found.start(), False
        marker = self._data[self._at + 1]
        return self._at if marker == 0xD8 else None  # a picture within a picture: this one was cut off

    def _pass_segment(self) -> int | None:
        """Over one marker and what belongs to it. → as ``_pass_scan``."""
        data, at = self._data, self._at
        if len(data) < at + 2:
            return 0
        if data[at] != 0xFF or data[at + 1] == 0x00:
            self._lost = True
        elif data[at + 1] == 0xD8:
            return at  # the next picture
        elif data[at + 1] == 0xFF:
            self._at += 1
        elif data[at + 1] == 0xD9:
            return at + 2
        elif data[at + 1] in _ALONE:
            self._at += 2
        elif len(data) < at + 4:
            return 0
        else:
            self._at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            self._scanning = data[at + 1] == 0xDA
        return None

    def _next_start(self) -> int | None:
        """Where markers have lost their order: the boundary ends the picture, or the next start where there is none.

        The first start may be that of a thumbnail inside the damaged picture, so the boundary is given some time.
        """
        if self._delimiter is not None and len(self._data) - self._at < _PATIENCE_BYTES:
            return None
        start = self._data.find(_START, max(self._at, self._sought))
        self._sought = len(self._data) - 2
        return None if start < 0 else start


def picture_size(jpeg: bytes) -> tuple[int, int] | None:
    """→ (width, height) that a JPEG's frame header declares; None where there is none."""
    at = 2
    while at + 9 <= len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker in _SIZED:
            return int.from_bytes(jpeg[at + 7 : at + 9], "big"), int.from_bytes(jpeg[at + 5 : at + 7], "big")
        at += 1 if marker == 0xFF else 2 if marker in _ALONE else 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return None
