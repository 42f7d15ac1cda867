"""How often to detect: every frame while the machine keeps up, every 2nd … 8th when it does not, three times a second
at the least; and no more often than the machine's plan allows.

Pure logic, fed with what happened to each frame. It goes up fast (half a second of overload) and down slowly (five
seconds in which the smaller stride would have fitted with room to spare), so that it does not swing. For live sources
only: a file waits for the detector and keeps stride 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, inf


@dataclass(frozen=True)
class StrideConfig:
    """Limits of the stride and the hysteresis around them; loads are shares of the time that detection has."""

    maximum: int = 8  # frames
    maximum_s: float = 0.34  # of the camera's time: a slow camera's people would be strangers after eight frames
    up_load: float = 0.95
    up_after_s: float = 0.5
    down_load: float = 0.7  # of the next smaller stride
    down_after_s: float = 5.0
    drop_share: float = 0.05  # frames lost before this stage; above it the machine is behind whatever detection takes
    time_constant_s: float = 1.0

    def __post_init__(self) -> None:
        if self.maximum_s <= 0:
            raise ValueError(f"maximum_s must be above 0, got {self.maximum_s}")
        if self.maximum < 1:
            raise ValueError(f"maximum must be 1 or more, got {self.maximum}")
        if not 0 < self.down_load < self.up_load:
            raise ValueError(f"expected 0 < down_load < up_load, got {self.down_load} and {self.up_load}")


class StrideController:
    """``due`` says whether to detect in a frame; ``observe`` tells what a frame took. ``adaptive=False`` stays at 1."""

    def __init__(self, config: StrideConfig | None = None, *, adaptive: bool = True) -> None:
        self._config = config or StrideConfig()
        self._adaptive = adaptive
        self._stride = 1
        self._last_due: int | None = None
        self._detect_s: float | None = None  # smoothed
        self._interval_s: float | None = None  # smoothed, of the camera
        self._limit_hz = inf
        self._drop_share = 0.0  # smoothed
        self._hot_s = 0.0
        self._cool_s = 0.0

    @property
    def stride(self) -> int:
        return max(self._stride, self._least())

    def limit(self, detections_per_s: float) -> None:
        """From now on no more detections a second than this, counted in whole frames of the camera."""
        self._limit_hz = detections_per_s

    @property
    def load(self) -> float:
        """Share of the available time that detection takes at the present stride; 0 until something was observed."""
        return self._load_at(self.stride)

    def due(self, frame_index: int) -> bool:
        """True for a frame to detect in. Indices may have gaps (drops); one that goes back starts again."""
        last = self._last_due
        if last is not None and last <= frame_index < last + self.stride:
            return False
        self._last_due = frame_index
        return True

    def observe(self, detect_s: float | None, interval_s: float, drops: int = 0) -> None:
        """Tell of one processed frame.

        ``detect_s``: waiting for and doing detection, None where the stride left it out. ``interval_s``: media time
        since the frame processed before. ``drops``: frames lost between the two.
        """
        if interval_s <= 0 or drops < 0:
            return
        share = 1.0 - exp(-interval_s / self._config.time_constant_s)
        self._interval_s = _toward(self._interval_s, interval_s / (drops + 1), share)
        if not self._adaptive:
            return
        self._drop_share = _toward(self._drop_share, drops / (drops + 1), share)
        if detect_s is not None:
            self._detect_s = _toward(self._detect_s, detect_s, min(1.0, share * self.stride))
        self._adapt(interval_s)

    def _adapt(self, passed_s: float) -> None:
        config = self._config
        hot = self._load_at(self._stride) > config.up_load or self._drop_share > config.drop_share
        smaller = max(1, self._stride - 1)
        cool = self._load_at(smaller) < config.down_load and self._drop_share < config.drop_share / 2
        self._hot_s = self._hot_s + passed_s if hot else 0.0
        self._cool_s = self._cool_s + passed_s if cool else 0.0
        if self._hot_s >= config.up_after_s and self._stride < self._maximum():
            self._change(1)
        elif self._cool_s >= config.down_after_s and self._stride > 1:
            self._change(-1)

    def _least(self) -> int:
        """The smallest stride that keeps the limit, but never one that loses people."""
        if not self._interval_s or self._limit_hz == inf:
            return 1
        return min(self._maximum(), max(1, ceil(1.0 / (self._limit_hz * self._interval_s) - 0.05)))

    def _maximum(self) -> int:
        """The largest stride for this camera: frames, and what they are of its time."""
        if not self._interval_s:
            return self._config.maximum
        return max(1, min(self._config.maximum, int(self._config.maximum_s / self._interval_s)))

    def _change(self, step: int) -> None:
        """One step; the drops that called for it are forgotten, so that the new stride is judged by its own."""
        self._stride += step
        self._hot_s = self._cool_s = self._drop_share = 0.0

    def _load_at(self, stride: int) -> float:
        if self._detect_s is None or not self._interval_s:
            return 0.0
        return self._detect_s / (stride * self._interval_s)


def _toward(old: float | None, new: float, share: float) -> float:
    return new if old is None else old + share * (new - old)
