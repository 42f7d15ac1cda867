"""How a source is read: transport, pace, time limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.backoff import Backoff


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
    backoff: Backoff = field(default_factory=Backoff)

    def __post_init__(self) -> None:
        if self.transport not in ("tcp", "udp"):
            raise ValueError(f"expected transport tcp or udp, got {self.transport!r}")
        if self.pace not in ("fast", "realtime"):
            raise ValueError(f"expected pace fast or realtime, got {self.pace!r}")
        times = (self.open_timeout_s, self.read_timeout_s, self.stale_after_s, self.first_frame_s, self.failed_retry_s)
        if min(times) <= 0 or self.max_pixels <= 0:
            raise ValueError("expected time limits and max_pixels above 0")
