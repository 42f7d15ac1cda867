"""How far a long work is and when it will be done, from steps that know only their own count."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Tell = Callable[[str, float, float | None], None]  # what, share of all, seconds left
GUESSED_FROM = 0.03  # of all: before, nothing can be said of the time left
_EPOCH = re.compile(r"epoch (\d+) of (\d+)")


class Phases:
    """``shares``: what each phase weighs, in their order, by its words.

    Within a phase each new step takes half of what is left of it, as it may not be the last. Progress never goes back.
    """

    def __init__(self, shares: Mapping[str, float], tell: Tell, clock: Callable[[], float]) -> None:
        whole = sum(shares.values())
        self._widths = {name: share / whole for name, share in shares.items()}
        self._tell = tell
        self._clock = clock
        self._began_s = clock()
        self._phase, self._step = "", ""
        self._share = 0.0
        self._at = 0.0  # where the step begins
        self._room = 0.0  # what the step may fill
        self._end = 0.0  # of the phase

    def begin(self, phase: str) -> None:
        """Raises KeyError for a phase that is none of ``shares``."""
        width = self._widths[phase]
        before = list(self._widths)[: list(self._widths).index(phase)]
        self._at = sum(self._widths[name] for name in before)
        self._end = self._at + width
        self._phase, self._step, self._room = phase, "", 0.0
        self._say(phase, self._at)

    def step(self, what: str, done: int, total: int) -> None:
        """``done`` of ``total`` of one step; another name begins another one. Epochs are one step together."""
        part, name = done / total if total else 1.0, what
        if epoch := _EPOCH.match(what):
            number, count = int(epoch[1]), int(epoch[2])
            part, name = (number - 1 + part) / count, "epochs"
        if name != self._step:
            self._step = name
            self._at += self._room
            self._room = (self._end - self._at) / 2
        self._say(f"{self._phase}: {what}", self._at + self._room * part)

    def _say(self, what: str, share: float) -> None:
        self._share = min(1.0, max(self._share, share))
        passed = self._clock() - self._began_s
        left = passed * (1 - self._share) / self._share if self._share >= GUESSED_FROM else None
        self._tell(what, self._share, left)
