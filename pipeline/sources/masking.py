"""What of a URL's path and query may be shown.

Cameras take passwords there under names that no list can complete (``loginpas=``, ``psw=``, ``authbasic=``), bare
(``/0/admin:12345/main``) and as a path nobody could guess (UniFi Protect). So every value is masked but those of a few
fields known to be harmless, and what follows a masked value goes with it up to the next field that is known by its
name: an unescaped ``&`` or ``/`` inside a password must not save the rest of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

MASK = "***"

# Which picture, how large, how sent. A user name is shown here as it is before the ``@``.
_HARMLESS = frozenset(
    [
        *("user", "username", "usr", "loginuse", "channel", "channelid", "channelno", "ch", "chn", "chid", "cam"),
        *("camera", "idc", "ids", "stream", "streamtype", "streamprofile", "subtype", "type", "mode", "profile"),
        *("profileid", "resolution", "size", "width", "height", "fps", "framerate", "codec", "videocodec"),
        *("compression", "quality", "rotation", "audio", "video", "unicast", "multicast", "transportmode", "proto"),
        *("protocol", "transport", "cmd", "action", "app", "port"),
    ]
)
_FLAGS = frozenset({"real_stream", "enablesrtp", "needlength", "get_stream"})
_PLAIN = re.compile(r"[\w.-]{0,32}", re.ASCII)
_NAME = re.compile(r"[a-z_-]{1,20}", re.IGNORECASE)
_SECRET_NAME = re.compile(r"(?=[\w.-]{2,24}$).*(?:pass?|pwd|psw|pw|token|secret|key|auth|sig|cred|login|session).*")
_QUERY_SEPARATOR = re.compile(r"([&;?])")
_PATH_SEPARATOR = re.compile(r"([/&;?])")
# ``/user=admin_password=…_channel=1.sdp``, as Xiongmai's recorders and their many brands have it.
_JOINED = re.compile(r"_(?=[A-Za-z]+=)")
_LOGIN = re.compile(r"(?!(?:mp4|mp3|flv|smil|ngrp):)([^:]*):.*", re.IGNORECASE | re.DOTALL)  # not Wowza's mp4:film
# A word that nobody would type is as good as a password: UniFi Protect, cloud cameras, signed links.
_TOKEN = re.compile(r"(?=\D*\d)(?=.*[A-Za-z])[A-Za-z0-9]{16,}(?:\.\w+)?|[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}", re.ASCII)

# (piece between two separators, whether the one before was masked) → what is shown of it, None for nothing
_ShownPiece = Callable[[str, bool], "str | None"]


def mask_place(place: str) -> str:
    """``host:port/path?query`` → the same, masked."""
    address, mark, query = place.partition("?")
    host, slash, path = address.partition("/")
    shown_path = mask_path(slash + path)
    return f"{host}{shown_path}{mark}{mask_query(query, shown_path.endswith(MASK))}"


def mask_query(query: str, after_secret: bool = False) -> str:
    """``a=1&b=2``, without the ``?`` → the same with every value masked that may be a secret.

    ``after_secret``: the path ended in one, which may have held an unescaped ``?``.
    """
    return _masked(query, _QUERY_SEPARATOR, _shown_field, after_secret)


def mask_path(path: str) -> str:
    """Words of the path stay; fields, logins and tokens in it are masked. What follows one of them goes with it."""
    return _masked(path, _PATH_SEPARATOR, _shown_piece, False)


def _masked(text: str, separator: re.Pattern[str], shown_piece: _ShownPiece, masked: bool) -> str:
    parts = separator.split(text)
    kept: list[str] = []
    for mark, piece in zip(["", *parts[1::2]], parts[::2], strict=True):
        shown = shown_piece(piece, masked)
        if shown is not None:
            kept.append(mark + shown)
            masked = shown.endswith(MASK)
    return "".join(kept)


def _shown_field(piece: str, after_secret: bool) -> str | None:
    name, equals, value = piece.partition("=")
    word = unquote(name).lower()
    hidden = None if after_secret else MASK
    if not equals:
        bare = (not piece and not after_secret) or word in _FLAGS
        return piece if bare else hidden
    if word in _HARMLESS and _PLAIN.fullmatch(value):
        return piece
    # What ends in = may be a token with base64's padding, and no name.
    named = _NAME.fullmatch(name) and value[:1] not in ("", "=") and not after_secret
    return f"{name}={MASK}" if named or word in _HARMLESS or _SECRET_NAME.fullmatch(word) else hidden


def _shown_piece(piece: str, after_secret: bool) -> str | None:
    """Of a path: a plain word, or fields joined by ``_``."""
    if "=" in piece:
        return _shown_joined(_JOINED.split(piece), after_secret)
    if after_secret:
        return None
    decoded = unquote(piece)
    if login := _LOGIN.fullmatch(piece):
        return f"{login.group(1)}:{MASK}"
    return MASK if _TOKEN.fullmatch(piece) or "=" in decoded or _LOGIN.fullmatch(decoded) else piece


def _shown_joined(fields: list[str], after_secret: bool) -> str | None:
    """Up to the first that is masked, since a password may hold ``_`` too."""
    first = _shown_piece(fields[0], after_secret) if "=" not in fields[0] else _shown_field(fields[0], after_secret)
    kept = [] if first is None else [first]
    for field in fields[1:]:
        if not kept or kept[-1].endswith(MASK):
            break
        kept.append(_shown_field(field, False) or MASK)
    return "_".join(kept) if kept else None
