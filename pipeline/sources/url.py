"""Where frames come from, as text: parse, check against the operator's policy, and never show a password.

A source URL is user input and holds secrets. ``SourceUrl`` is the only carrier of one: printing it in any way gives
the redacted form, ``reveal()`` is the one way to the full text. ``redact`` cleans foreign text (log lines, exceptions),
``shown_url`` a URL that was accepted before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pipeline.errors import SourceUrlError
from pipeline.sources.masking import MASK, mask_place

MAX_LENGTH = 2048
HTTP_SCHEMES = ("http", "https")
NETWORK_SCHEMES = ("rtsp", "rtsps", *HTTP_SCHEMES)
ALLOWED_SCHEMES = (*NETWORK_SCHEMES, "file", "v4l2", "usb")
DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
# Over HTTP these are recordings with an end; anything else is taken for a live stream until it is opened.
FILE_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"})
HLS_SUFFIXES = (".m3u8", ".m3u")

# A URL in any text is the whole word, quotes and all: an unescaped "@", "/" or "'" inside a password must not save the
# rest of it. Outside of URLs (FFmpeg repeats paths) only fields with telling names can be told from other text.
_SECRETS = re.compile(
    r"(?i)(?P<scheme>[a-z][a-z0-9+.-]{0,20}://)(?P<rest>[^\s\"<>]*)"
    r"|(?P<field>(?:pass(?:word|wd|phrase)?|loginpas|p(?:ass?)?wd?|psw|token|secret|auth[a-z]{0,9}|signature|sig"
    r"|(?:api|access)?_?key)=)[^\s&\"'<>]+"
)
_USER = re.compile(r"[\w.%+-]{0,64}", re.ASCII)
_PUNCTUATION = "'),.:;!?]}"  # of the text around a URL, where it stands at the end of one
_DEVICE = re.compile(r"/dev/(?:video\d{1,3}|v4l/by-(?:id|path)/[\w.:+-]+)")
_USB = re.compile(r"usb:(?://)?(\d{1,3})")
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\<>\"]")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class SourcePolicy:
    """What the operator allows. Without ``media_roots`` no ``file`` URL is accepted, without ``hls_hosts`` no HLS."""

    media_roots: tuple[Path, ...] = ()
    hls_hosts: frozenset[str] = frozenset()
    max_pixels: int = 4096 * 2304
    allow_devices: bool = True


@dataclass(frozen=True)
class UrlOptions:
    """What a ``file`` URL's query asks for; None leaves it to ``SourceOptions``."""

    pace: str | None = None  # "fast" | "realtime"
    loop: bool | None = None


@dataclass(frozen=True, repr=False)
class SourceUrl:
    """A checked source URL. Made by ``parse`` (user input) or ``from_path`` (a person at this machine)."""

    scheme: str  # rtsp, rtsps, http, https, file or v4l2
    full: str = field(repr=False)
    path: Path | None = None  # resolved local file, or the device
    options: UrlOptions = UrlOptions()
    hls: bool = False

    @classmethod
    def parse(cls, text: str, policy: SourcePolicy) -> SourceUrl:
        """Raises SourceUrlError, whose message says what is expected and holds no part of a password."""
        text = text.strip()
        if not text or len(text) > MAX_LENGTH:
            raise SourceUrlError(f"expected a URL of 1 to {MAX_LENGTH} characters, got {len(text)}")
        if _UNSAFE.search(text):
            raise SourceUrlError("expected a URL without spaces, control characters, quotes or backslashes")
        scheme = text.partition(":")[0].lower()
        if scheme not in ALLOWED_SCHEMES or ":" not in text:
            raise SourceUrlError(f"expected a URL with one of the schemes {', '.join(ALLOWED_SCHEMES)}")
        if scheme in ("v4l2", "usb"):
            return _parse_device(text, policy)
        if scheme == "file":
            return _parse_file(_split(text), policy)
        return _parse_network(scheme, text, policy)

    @classmethod
    def from_path(cls, path: Path | str, pace: str | None = None, loop: bool | None = None) -> SourceUrl:
        """A local file that somebody at this machine named, wherever it lies. SourceUrlError where there is none."""
        resolved = Path(path).resolve()
        if not resolved.is_file():
            raise SourceUrlError(f"there is no file {path}" if not resolved.exists() else f"{path} is no regular file")
        return cls("file", resolved.as_uri(), resolved, UrlOptions(pace, loop))

    def reveal(self) -> str:
        """The full URL, with its password: for opening and storing only."""
        return self.full

    @property
    def redacted(self) -> str:
        """For people: the user name stays; the password, and every field not known to be harmless, become ``***``."""
        return shown_url(self.full)

    @property
    def is_live(self) -> bool:
        """False where the end of the data is the end of the source (local files, recordings over HTTP)."""
        if self.scheme == "file":
            return False
        if self.over_http:
            return Path(urlsplit(self.full).path).suffix.lower() not in FILE_SUFFIXES
        return True

    @property
    def over_http(self) -> bool:
        return self.scheme in HTTP_SCHEMES

    @property
    def host(self) -> str | None:
        return urlsplit(self.full).hostname if self.scheme in NETWORK_SCHEMES else None

    @property
    def port(self) -> int | None:
        return urlsplit(self.full).port or DEFAULT_PORTS.get(self.scheme)

    @property
    def place(self) -> str:
        """What a message may name: ``host:port``, the file or the device."""
        return f"{self.host}:{self.port}" if self.host else str(self.path)

    def __repr__(self) -> str:
        return f"SourceUrl({self.redacted!r})"

    def __str__(self) -> str:
        return self.redacted


def shown_url(text: str) -> str:
    """A source URL that was accepted before (empty: none is known any more) → what may be shown of it."""
    scheme, _, rest = text.strip().partition("://")
    if scheme.lower() not in NETWORK_SCHEMES:
        return text.strip().partition("?")[0] or MASK  # a file or a device, without what a file URL's query asks for
    login, at, place = rest.rpartition("@")
    user, colon, _ = login.partition(":")
    # A lone word before the @ may be a token, and what is no plain word may be anything.
    shown_login = f"{user if _USER.fullmatch(user) else MASK}:{MASK}" if colon else MASK * bool(at)
    return f"{scheme.lower()}://{shown_login}{at}{mask_place(place)}"


def redact(text: str) -> str:
    """Any text → the same with ``***`` for the logins and the fields of every URL in it, and for ``password=…``."""
    return _SECRETS.sub(_redacted, text)


def _redacted(match: re.Match[str]) -> str:
    if match["field"]:
        return match["field"] + MASK
    login, at, place = match["rest"].rpartition("@")
    if "/" in login or "?" in login:  # no login, but a secret with an unescaped @ in it
        return f"{match['scheme']}{MASK}"
    address = place.rstrip(_PUNCTUATION)
    shown = address if match["scheme"].lower() == "file://" else mask_place(address)
    # Behind a secret nobody knows what is punctuation and what its end.
    after = "" if shown.endswith(MASK) else place[len(address) :]
    return f"{match['scheme']}{MASK * bool(at)}{at}{shown}{after}"


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port  # parsed lazily; raises for anything that is no number
    except ValueError:
        parts = None
    if parts is None:  # outside the handler, so that no exception context carries the text
        raise SourceUrlError(
            "expected scheme://[user:password@]host[:port]/path; write @ : / # ? in a password as %40 …"
        )
    return parts


def _parse_network(scheme: str, text: str, policy: SourcePolicy) -> SourceUrl:
    parts = _split(text)
    if not parts.hostname:
        raise SourceUrlError(f"expected a host name after {scheme}://")
    if "#" in text or "@" in parts.path or "@" in parts.query or parts.netloc.count("@") > 1:
        raise SourceUrlError("expected @ only before the host, and no #: write @ as %40, / as %2F and # as %23")
    hls = scheme in HTTP_SCHEMES and parts.hostname.lower() in {host.lower() for host in policy.hls_hosts}
    if parts.path.lower().endswith(HLS_SUFFIXES) and not hls:
        raise SourceUrlError(
            "HLS playlists can name any other host, so they are refused unless the operator lists this host as trusted"
        )
    return SourceUrl(scheme, parts._replace(scheme=scheme).geturl(), hls=hls)


def _parse_file(parts: SplitResult, policy: SourcePolicy) -> SourceUrl:
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/") or parts.fragment:
        raise SourceUrlError("expected file:///absolute/path, with # and ? in names written as %23 and %3F")
    options = _parse_options(parts.query)
    path = Path(unquote(parts.path))
    if "\x00" in str(path):
        raise SourceUrlError("expected a path without a zero byte")
    resolved = path.resolve()  # follows symlinks, so a link out of a root is seen as what it points to
    if not any(resolved.is_relative_to(root.resolve()) for root in policy.media_roots):
        raise SourceUrlError("this file is not under a media folder that the operator allows")
    if not resolved.is_file():
        raise SourceUrlError("expected a regular file: there is none at this path")
    return SourceUrl("file", resolved.as_uri(), resolved, options)


def _parse_options(query: str) -> UrlOptions:
    given = dict(parse_qsl(query, keep_blank_values=True))
    pace, loop = given.pop("pace", None), given.pop("loop", None)
    if given or pace not in (None, "fast", "realtime") or (loop is not None and loop.lower() not in _FLAGS):
        raise SourceUrlError("expected only ?pace=fast|realtime and &loop=true|false after a file URL")
    return UrlOptions(pace, None if loop is None else _FLAGS[loop.lower()])


def _parse_device(text: str, policy: SourcePolicy) -> SourceUrl:
    usb = _USB.fullmatch(text.lower())
    device = f"/dev/video{int(usb.group(1))}" if usb else text.partition("://")[2]
    if not _DEVICE.fullmatch(device) or ".." in device:
        raise SourceUrlError("expected v4l2:///dev/videoN, v4l2:///dev/v4l/by-id/NAME or usb:N")
    if not policy.allow_devices:
        raise SourceUrlError("cameras attached to this machine are not allowed by the operator")
    return SourceUrl("v4l2", f"v4l2://{device}", Path(device))
