"""FFmpeg's errors in words that a person can act on, and without the URL that FFmpeg puts into its own."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

import av
import av.error

from pipeline.errors import SourceError
from pipeline.sources.url import SourceUrl


@dataclass(frozen=True)
class _Meaning:
    code: str
    permanent: bool
    text: str  # {place} is host:port, the file or the device


_BY_TYPE: tuple[tuple[type[BaseException], _Meaning], ...] = (
    (
        av.error.HTTPUnauthorizedError,
        _Meaning("unauthorized", True, "{place} refuses the user name or password (401)"),
    ),
    (av.error.HTTPForbiddenError, _Meaning("forbidden", True, "{place} does not let this user see the stream (403)")),
    (av.error.HTTPNotFoundError, _Meaning("not_found", True, "{place} has no stream at this path (404)")),
    (av.error.HTTPTooManyRequestsError, _Meaning("busy", False, "{place} asks to come back later (429)")),
    (av.error.HTTPClientError, _Meaning("rejected", True, "{place} rejects the request (4xx)")),
    (av.error.HTTPServerError, _Meaning("server_error", False, "{place} has an error of its own (5xx)")),
    (av.error.ConnectionRefusedError, _Meaning("refused", False, "nothing accepts connections at {place}")),
    (av.error.ConnectionResetError, _Meaning("disconnected", False, "{place} broke the connection")),
    (av.error.ConnectionAbortedError, _Meaning("disconnected", False, "{place} broke the connection")),
    (av.error.BrokenPipeError, _Meaning("disconnected", False, "{place} broke the connection")),
    (av.error.ExitError, _Meaning("timed_out", False, "{place} does not answer in time")),
    (av.error.TimeoutError, _Meaning("timed_out", False, "{place} does not answer in time")),
    (av.error.FileNotFoundError, _Meaning("not_found", True, "there is no {place}")),
    (av.error.PermissionError, _Meaning("not_allowed", True, "this process may not read {place}")),
    (av.error.IsADirectoryError, _Meaning("unreadable", True, "{place} is a folder")),
    (av.error.DecoderNotFoundError, _Meaning("unsupported_codec", True, "the video of {place} needs an unknown codec")),
    (av.error.PatchWelcomeError, _Meaning("unsupported_codec", True, "the video of {place} uses an unknown variant")),
    (av.error.MemoryError, _Meaning("too_large", True, "the pictures of {place} do not fit into memory")),
    (av.error.EOFError, _Meaning("ended", False, "{place} ended the stream")),
    (
        av.error.InvalidDataError,
        _Meaning("unreadable", True, "no video can be read from {place}: it is none, or damaged"),
    ),
)

_BY_ERRNO = {
    errno.ENETUNREACH: _Meaning("unreachable", False, "there is no network route to {place}"),
    errno.EHOSTUNREACH: _Meaning("unreachable", False, "there is no network route to {place}"),
    errno.EBUSY: _Meaning("busy", False, "another program uses {place}"),
    errno.ENODEV: _Meaning("disconnected", False, "{place} was unplugged"),
    errno.ENXIO: _Meaning("disconnected", False, "{place} was unplugged"),
}

_NOT_ALLOWED = _Meaning(
    "not_allowed",
    True,
    "{place} sends something that is not read here: expected RTSP, MPEG-TS, MP4, Matroska, AVI, FLV or JPEG pictures",
)
_NO_SUCH_ADDRESS = _Meaning(
    "unreachable",
    False,
    "the address of {place} cannot be used: an IPv6 address of the own network (fe80::…) needs the name of this "
    "machine's network interface behind %25, as in [fe80::1%25eth0]; no other address has one",
)
_NO_RTSP = _Meaning("unreadable", False, "{place} does not speak RTSP, or broke off")
_UNRESOLVED = _Meaning("unresolved", False, "the host name of {place} is unknown")
_BROKEN_OFF = _Meaning("disconnected", False, "the connection to {place} broke off, or it redirects, which is refused")


def explain_open(error: BaseException, url: SourceUrl, out_of_time: bool) -> SourceError:
    """What went wrong while opening. ``out_of_time``: the open timeout had passed, whatever FFmpeg made of it.

    Raise the result outside the ``except`` block: as its context, FFmpeg's own error would carry the full URL along.
    """
    if out_of_time:
        return _worded(_Meaning("timed_out", False, "{place} does not answer in time"), url)
    # FFmpeg answers "invalid argument" for a format outside the white list, "protocol not found" for a protocol.
    refused = (av.error.ArgumentError, av.error.ProtocolNotFoundError, av.error.DemuxerNotFoundError)
    if isinstance(error, av.error.ArgumentError) and _is_scoped(url.host):
        return _worded(_NO_SUCH_ADDRESS, url)
    if isinstance(error, refused):
        return _worded(_NOT_ALLOWED, url)
    if isinstance(error, av.error.InvalidDataError) and url.scheme in ("rtsp", "rtsps"):
        return _worded(_NO_RTSP, url)  # also what a server that dies in mid-dialogue looks like
    if getattr(error, "errno", None) == errno.EIO and url.host is not None:
        return _worded(_BROKEN_OFF if _resolves(url.host) else _UNRESOLVED, url)
    return explain_read(error, url)


def explain_read(error: BaseException, url: SourceUrl) -> SourceError:
    """What went wrong while reading an open source; also the common part of ``explain_open``."""
    for kind, meaning in _BY_TYPE:
        if isinstance(error, kind):
            return _worded(meaning, url)
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number in _BY_ERRNO:
        return _worded(_BY_ERRNO[number], url)
    # Only the type: the texts of these errors name the file or URL they happened on.
    return _worded(_Meaning("unreadable", False, f"reading {{place}} failed ({type(error).__name__})"), url)


def no_video(url: SourceUrl) -> SourceError:
    return _worded(_Meaning("no_video", True, "{place} has no video track"), url)


def unsupported_codec(url: SourceUrl) -> SourceError:
    return _worded(_Meaning("unsupported_codec", True, "the video of {place} needs a codec that is missing here"), url)


def too_large(url: SourceUrl, size_wh: tuple[int, int], max_pixels: int) -> SourceError:
    width, height = size_wh
    text = f"the pictures of {{place}} are {width}×{height}; at most {max_pixels} pixels are allowed"
    return _worded(_Meaning("too_large", True, text), url)


def timed_out(url: SourceUrl, silent_s: float) -> SourceError:
    return _worded(_Meaning("timed_out", False, f"{{place}} has sent nothing for {silent_s:.0f} s"), url)


def undecodable(url: SourceUrl) -> SourceError:
    return _worded(_Meaning("unreadable", False, "data arrive from {place}, but no picture can be decoded"), url)


def ended(url: SourceUrl) -> SourceError:
    return _worded(_Meaning("ended", False, "{place} ended the stream"), url)


def no_pictures(url: SourceUrl) -> SourceError:
    return _worded(_Meaning("unreadable", True, "no picture of {place} can be decoded"), url)


def ended_early(url: SourceUrl, got_s: float, duration_s: float) -> SourceError:
    text = f"{{place}} is cut off: it ends after {got_s:.1f} of {duration_s:.1f} s"
    return _worded(_Meaning("ended", True, text), url)


def undecodable_tail(url: SourceUrl, packets: int) -> SourceError:
    text = f"the end of {{place}} is damaged or of another codec: its last {packets} packets cannot be decoded"
    return _worded(_Meaning("unreadable", True, text), url)


def not_video(url: SourceUrl, kind: str | None, code: str = "unreadable") -> SourceError:
    """``kind``: what came instead, in words, where that is known."""
    return _worded(_Meaning(code, True, f"{{place}} sends {kind or 'no picture'} where video is expected"), url)


def old_ffmpeg(url: SourceUrl) -> SourceError:
    text = "{place} cannot be read safely: this FFmpeg follows HTTP redirects anywhere; PyAV 17.1 or newer is needed"
    return _worded(_Meaning("not_allowed", True, text), url)


def redirected(url: SourceUrl) -> SourceError:
    text = "{place} redirects to another server, which is refused: give that one's URL if it is to be watched"
    return _worded(_Meaning("not_allowed", True, text), url)


def untrusted(url: SourceUrl, reason: str) -> SourceError:
    """``reason``: TLS's own words."""
    text = (
        f"the certificate of {{place}} is not trusted ({reason}): name its issuer by ACTOSCOPE_CAMERA_CA, or set "
        "tls_verify=false for this stream, after which anybody on the way may pose as the camera"
    )
    return _worded(_Meaning("untrusted", True, text), url)


def moved(url: SourceUrl) -> SourceError:
    return _worded(_Meaning("not_allowed", True, "{place} leads somewhere else than when it was checked"), url)


def _worded(meaning: _Meaning, url: SourceUrl) -> SourceError:
    return SourceError(meaning.code, meaning.text.replace("{place}", url.place), permanent=meaning.permanent)


def _is_scoped(host: str | None) -> bool:
    """Whether an address is only good together with a network interface, or names one (RFC 4007)."""
    return host is not None and ("%" in host or host.lower().startswith("fe80:"))


def _resolves(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return False
    return True
