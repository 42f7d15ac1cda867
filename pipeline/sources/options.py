"""How a source is read: transport, pace, time limits, and how long to wait before a lost camera is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

SNAPSHOT_S = (0.05, 3600.0)  # what may lie between two requests for a picture
HLS_QUIET_S = 30.0  # a playlist is silent for a whole segment, most often of 2 to 10 s, and its server may be late


@dataclass(frozen=True)
class Backoff:
    """Exponential, with a ceiling that grows with the outage.

    A camera that reboots is found soon after it is back (within 2 s in an outage of up to half a minute); one that is
    gone for hours is asked every ``ceiling_s``. Jitter shortens a wait by up to a quarter and never lengthens it:
    many cameras behind one failed switch do not come back in step, and the ceiling stays a promise.
    """

    first_s: float = 0.5
    low_ceiling_s: float = 1.0
    ceiling_s: float = 30.0
    growth: float = 16.0  # the ceiling is a sixteenth of the outage
    jitter: float = 0.25

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.low_ceiling_s <= self.ceiling_s or self.growth <= 0 or not 0 <= self.jitter < 1:
            raise ValueError(f"expected 0 < first_s <= low_ceiling_s <= ceiling_s, growth > 0, 0 <= jitter < 1: {self}")

    def delay_s(self, attempt: int, outage_s: float, chance: float | None = None) -> float:
        """Seconds to wait before attempt number ``attempt`` (from 0), ``outage_s`` after the outage began.

        ``chance`` in 0..1 replaces the random draw.
        """
        ceiling = min(max(outage_s / self.growth, self.low_ceiling_s), self.ceiling_s)
        wait = min(self.first_s * 2.0 ** min(attempt, 32), ceiling)
        draw = random.random() if chance is None else chance  # noqa: S311  (spreads load, guards nothing)
        return max(wait * (1.0 - self.jitter * draw), self.first_s)


@dataclass(frozen=True)
class SourceOptions:
    """Times are seconds. ``pace`` and ``loop`` concern files only; a URL's own options win over them."""

    transport: str = "tcp"  # RTSP media over "tcp" or "udp"
    pace: str = "fast"  # files: "fast" as consumed, "realtime" as recorded
    loop: bool = False
    open_timeout_s: float = 5.0  # for the connection, and again for the first data
    read_timeout_s: float = 3.0
    stale_after_s: float = 6.0  # no picture for this long ends a connection, whatever else arrives
    first_frame_s: float = 15.0  # how long a new connection may wait for its first keyframe
    healthy_after_s: float = 10.0  # of running, then an outage counts from the beginning again
    failed_retry_s: float = 60.0
    believe_after_s: float = 30.0  # "no such path" from a server that just restarted is believed only then
    max_pixels: int = 4096 * 2304
    snapshot_s: float = 1.0  # from one request to the next of a camera that answers with single pictures
    tls_verify: bool = True  # rtsps, https: whether the camera must show a certificate that is trusted
    ca_file: Path | None = None  # by whom, as PEM; None: whom the system trusts
    keep_coded: bool = False  # whether pictures carry what they were decoded from
    backoff: Backoff = field(default_factory=Backoff)

    def __post_init__(self) -> None:
        if self.transport not in ("tcp", "udp"):
            raise ValueError(f"expected transport tcp or udp, got {self.transport!r}")
        if self.pace not in ("fast", "realtime"):
            raise ValueError(f"expected pace fast or realtime, got {self.pace!r}")
        times = (self.open_timeout_s, self.read_timeout_s, self.stale_after_s, self.first_frame_s, self.failed_retry_s)
        if min(times) <= 0 or self.max_pixels <= 0:
            raise ValueError("expected time limits and max_pixels above 0")
        if not SNAPSHOT_S[0] <= self.snapshot_s <= SNAPSHOT_S[1]:
            raise ValueError(f"expected snapshot_s between {SNAPSHOT_S[0]} and {SNAPSHOT_S[1]}, got {self.snapshot_s}")
