"""The certificate that the service shows, exchanged under way: new connections see the new one, old ones live on.

Certificate and key are read into memory first and tried together, so that a pair which is half written, or does not
fit, leaves the old one in place. Renewal programs write two files one after the other: a change counts once both have
been the same in two looks.
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509

from service.errors_base import ServiceError

log = logging.getLogger(__name__)

LOOK_S = 5.0
WARN_S = 7 * 24 * 3600.0  # of what is left, when a certificate is loaded
HSTS = ("Strict-Transport-Security", "max-age=15552000")  # 180 days; browsers pass over it for addresses
_MAX_BYTES = 1 << 20

Seen = tuple[tuple[int, int, int], ...]


class TlsError(ServiceError, OSError):
    """Certificate and key cannot be served. The message says what is wrong with which file."""


class ServedCertificate:
    """``context`` is what the server keeps; ``look`` loads another pair into it once the files have changed."""

    def __init__(self, certificate: Path, key: Path, clock: Callable[[], float] = time.time) -> None:
        """Raises TlsError."""
        self._certificate, self._key, self._clock = certificate, key, clock
        self.context = _new_context()
        self.expires_at = 0.0  # Unix time
        self.reloads = self.refused = 0
        self._said = ""  # what is wrong now
        self._loaded = self._last = self._refused = self._seen()
        self._load()

    def look(self) -> bool:
        """→ whether another pair is served from now on. Raises nothing: what cannot be served is said in the log."""
        try:
            seen = self._seen()
            settled, self._last = seen == self._last, seen
            if seen in (self._loaded, self._refused) or not settled:
                return False
            self._refused = seen  # unless it loads
            self._load()
        except TlsError as error:
            self._say_refused(error)
            return False
        self._loaded = self._refused = seen
        self._said = ""
        self.reloads += 1
        log.info("TLS: the certificate was exchanged, the new one ends %s", _day(self.expires_at))
        return True

    def watch(self, stop: threading.Event) -> None:
        """Looks until ``stop``; for a thread."""
        while not stop.wait(LOOK_S):
            self.look()

    def measures(self) -> dict[str, Any]:
        """For ``/metrics``."""
        counters = {"reloads_total": self.reloads, "refused_total": self.refused}
        return {"counters": counters, "gauges": {"certificate_expires_timestamp_seconds": self.expires_at}}

    def _say_refused(self, error: TlsError) -> None:
        if str(error) == self._said:
            return
        self._said = str(error)
        self.refused += 1
        log.error("TLS: %s; the certificate from before is served on, it ends %s", error, _day(self.expires_at))

    def _seen(self) -> Seen:
        return tuple(_mark(path) for path in (self._certificate, self._key))

    def _load(self) -> None:
        certificate, key = _read(self._certificate), _read(self._key)
        ends_at = _ends_at(certificate, self._certificate)
        _check_open(key, self._key)
        for context in (_new_context(), self.context):  # tried first, since a pair that fails spoils its context
            self._put(context, certificate, key)
        self.expires_at = ends_at
        _warn_of_end(self._certificate, ends_at - self._clock(), ends_at)

    def _put(self, context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
        problem = None
        with _in_memory(certificate) as certificate_path, _in_memory(key) as key_path:
            try:
                context.load_cert_chain(certificate_path, key_path)
            except (ssl.SSLError, ValueError) as error:
                problem = self._explain(error)
        if problem is not None:
            raise problem

    def _explain(self, error: Exception) -> TlsError:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            return TlsError(f"the key in {self._key} does not fit the certificate in {self._certificate}")
        reason = getattr(error, "reason", None) or type(error).__name__
        return TlsError(f"expected a certificate in {self._certificate} and its key in {self._key}, as PEM: {reason}")


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _mark(path: Path) -> tuple[int, int, int]:
    """What changes when a file does, also behind a symlink. Raises TlsError."""
    try:
        found = path.stat()
    except OSError as error:
        raise TlsError(f"cannot read {path}: {error.strerror}") from error
    return found.st_mtime_ns, found.st_ino, found.st_size


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise TlsError(f"cannot read {path}: {error.strerror}") from error
    if not content.strip() or len(content) > _MAX_BYTES:
        raise TlsError(f"expected PEM text of at most {_MAX_BYTES} bytes in {path}, got {len(content)} bytes or more")
    return content


def _check_open(key: bytes, path: Path) -> None:
    """OpenSSL would ask for the password at a terminal."""
    if b"ENCRYPTED" in key:
        raise TlsError(f"the key in {path} needs a password: expected one without (openssl pkey -in … -out …)")


def _ends_at(content: bytes, path: Path) -> float:
    """→ when the first certificate, which is the service's own, ends."""
    try:
        return x509.load_pem_x509_certificates(content)[0].not_valid_after_utc.timestamp()
    except ValueError:
        raise TlsError(f"expected a certificate as PEM in {path}, got none that can be read") from None


def _warn_of_end(path: Path, left_s: float, ends_at: float) -> None:
    if left_s <= 0:
        log.warning("TLS: the certificate in %s ended %s: browsers will refuse it", path, _day(ends_at))
    elif left_s < WARN_S:
        log.warning("TLS: the certificate in %s ends soon, %s", path, _day(ends_at))


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """→ a path that OpenSSL can read: it takes files only, and these bytes are on no disk but their own."""
    descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
