"""Every error this package raises on purpose. Each also inherits the builtin that a caller would expect."""

from __future__ import annotations


class PipelineError(Exception):
    """Base of all errors raised by ``pipeline``."""


class SourceError(PipelineError, OSError):
    """A source cannot be opened or read. ``permanent`` says that trying again soon cannot help.

    ``code`` is one word for machines (``unauthorized``, ``not_found``, ``refused``, ``timed_out``, ``no_video``,
    ``unsupported_codec``, ``too_large``, ``not_allowed``, ``ended``, ``unreadable``), the message is for a person and
    never holds a password.
    """

    def __init__(self, code: str, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.permanent = permanent

    def __str__(self) -> str:
        return self.message


class SourceUrlError(PipelineError, ValueError):
    """A source URL is malformed or not allowed here. The message says what is expected and holds no password."""


class DetectorError(PipelineError, RuntimeError):
    """A detector or appearance model cannot be loaded or run."""


class ChildError(PipelineError, RuntimeError):
    """A Python process of our own failed, or was ended because it took too long (``timed_out``).

    The message is its last words: the last line of ``complaints`` (stderr). ``output`` is what it wrote to stdout.
    """

    def __init__(self, output: str, complaints: str, status: int, *, timed_out: bool = False) -> None:
        words = complaints.strip().splitlines() or [f"exit status {status}"]
        super().__init__(words[-1])
        self.output = output
        self.complaints = complaints
        self.timed_out = timed_out

    def tail(self, lines: int) -> str:
        """The last ``lines`` of all that it wrote, complaints last."""
        return "\n".join((self.output + self.complaints).strip().splitlines()[-lines:])
