"""What can go wrong in ``service``, in the domain's words. ``errors.py`` alone knows what HTTP makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.sources.url import redact

_MAX_SHOWN = 120


class ServiceError(Exception):
    """Every error of this package inherits it, and a builtin besides."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """One part of what was asked for that cannot be: what was expected there, and what came."""

    field: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected}, got {self.got}"


class InvalidRequest(ServiceError, ValueError):
    """What was asked for cannot be; ``wrong`` names each part of it."""

    def __init__(self, wrong: Sequence[Wrong], most: int = 5) -> None:
        super().__init__("; ".join(map(str, wrong[:most])))
        self.wrong = tuple(wrong)


class NotFound(ServiceError, LookupError):
    """There is no such thing (any more)."""


class Conflict(ServiceError, RuntimeError):
    """It could be, but not beside what there is now."""


class Outdated(ServiceError, RuntimeError):
    """What was to be changed is no more as whoever asks has read it."""


class Forbidden(ServiceError, PermissionError):
    """Whoever asks may not."""


class Unauthorized(ServiceError, PermissionError):
    """Nobody who is known asks, or with a credential that does not count (any more)."""


class TooManyTries(ServiceError, PermissionError):
    """Wrong passwords came too often; ``retry_after_s`` says when to try again."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many failed tries: try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class WrongHost(ServiceError, ValueError):
    """The request is for another host than this one."""


class NotJson(ServiceError, ValueError):
    """What was sent does not say that it is JSON."""


class TooLarge(ServiceError, ValueError):
    """More was sent than is read."""


class RangeBeyondFile(ServiceError, ValueError):
    """A part of a file was asked for that lies behind its end; ``size`` in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"expected a range within 0..{size - 1}")
        self.size = size


class Unavailable(ServiceError, RuntimeError):
    """Not now; ``retry_after_s`` says when to ask again."""

    def __init__(self, message: str, retry_after_s: int = 2) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def invalid(field: str, expected: str, got: object) -> InvalidRequest:
    """→ the error for one field."""
    return InvalidRequest([Wrong(field, expected, shown(got))])


def not_found(what: str, given: str) -> NotFound:
    return NotFound(f"there is no {what} {shown(given)}")


def shown(value: object) -> str:
    """Any value for a message: short, without passwords and without what UTF-8 cannot carry."""
    text = value if isinstance(value, str) else repr(value)
    text = redact(text).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
