"""One answer of an HTTP server as bytes, read by FFmpeg: its logins, TLS, time limits and refusal of redirects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import av.error

from pipeline.errors import SourceError
from pipeline.sources import words
from pipeline.sources.container import open_container
from pipeline.sources.options import SourceOptions
from pipeline.sources.url import SourceUrl

_LOOKED_AT = 16384  # bytes; longer headers before a first picture are no camera's
_JPEG = b"\xff\xd8\xff"
_PART = re.compile(
    rb"\s*--[\x21-\x7e]{1,200}[ \t]*\r?\n(?:[\x20-\x7e]*\r?\n){0,20}?content-type:[ \t]*image/jpe?g", re.IGNORECASE
)
_NO_TEXT = re.compile(rb"[^\t\r\n\x20-\x7e]")
_KINDS = (
    (re.compile(rb"#EXTM3U"), "an HLS playlist"),
    (re.compile(rb"\[playlist\]|#EXT|<asx|<smil", re.I), "a playlist"),
    (re.compile(rb"<!doctype html|<html|<head|<body", re.I), "a web page (a login page?)"),
    (re.compile(rb"<\?xml|<[a-z]+[ :>]", re.I), "an XML document"),
    (re.compile(rb"[{\[]\s*[\"{\[\]}]"), "a JSON document"),
    (re.compile(rb"\x89PNG"), "a PNG picture; still pictures are read as JPEG only"),
    (re.compile(rb"GIF8"), "a GIF picture; still pictures are read as JPEG only"),
    (re.compile(rb"RIFF....WEBP", re.S), "a WebP picture; still pictures are read as JPEG only"),
    (re.compile(rb"BM.{4}\0{4}", re.S), "a BMP picture; still pictures are read as JPEG only"),
    (re.compile(rb"....ftyp(?:avif|heic|heix|mif1)", re.S), "a still picture; those are read as JPEG only"),
)


class HttpAnswer:
    """Open from its making on. ``head``: the first bytes of what was read; ``chunks`` gives them again."""

    def __init__(self, url: SourceUrl, options: SourceOptions) -> None:
        """Raises SourceError."""
        self._url = url
        self._container = open_container(url, options, raw=True)
        self._packets: Iterator[Any] = self._container.demux()
        self.head = b""

    def sends_jpeg(self, unwanted: Callable[[], bool]) -> bool:
        """Reads on until that can be told, or until it is ``unwanted``. Raises SourceError where nothing comes."""
        while not unwanted() and (verdict := _is_jpeg(self.head)) is None and len(self.head) < _LOOKED_AT:
            chunk = self._next()
            if not chunk:
                return False
            self.head += chunk
        return bool(verdict)

    def chunks(self) -> Iterator[bytes]:
        """All bytes to the end of the answer, however it ends. Raises SourceError when they stop coming."""
        yield self.head
        while chunk := self._next():
            if len(self.head) < _LOOKED_AT:
                self.head += chunk
            yield chunk

    def _next(self) -> bytes:
        """→ b"" at the end."""
        try:
            packet = next(self._packets, None)
            return b"" if packet is None else bytes(packet)
        except av.error.FFmpegError as error:
            problem = words.explain_read(error, self._url)
            if problem.code in _ENDS:
                return b""
        raise problem

    def close(self) -> None:
        self._container.close()


# FFmpeg calls it an error when a server closes without having said how much it will send, as every camera does.
_ENDS = frozenset({"disconnected", "ended", "unreadable"})


def _is_jpeg(head: bytes) -> bool | None:
    """Whether these are pictures, perhaps with a multipart head before them; None while that cannot be told."""
    start = head.find(_JPEG)
    text = head if start < 0 else head[:start]
    if _PART.match(text):
        return True
    odd = _NO_TEXT.search(text)
    if odd is not None:
        # The picture's first two bytes may be here without the third.
        return None if start < 0 and head[odd.start() :] in (_JPEG[:1], _JPEG[:2]) else False
    return True if start >= 0 else None


def kind_of(head: bytes) -> str | None:
    """What the beginning of an answer shows it to be, in words; None where nothing is known about it."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((words_for for pattern, words_for in _KINDS if pattern.match(text)), None)


def why_no_video(url: SourceUrl, head: bytes, problem: SourceError) -> SourceError:
    """``problem``, made plainer by what the server really sent. FFmpeg only says that it is no video."""
    kind = kind_of(head)
    told = kind is not None and problem.code in ("unreadable", "not_allowed")
    return words.not_video(url, kind, problem.code) if told else problem
