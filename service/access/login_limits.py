"""How often wrong passwords may come: by address, and by account.

An address may fail 5 times a minute and 20 times an hour. So may an account; but one address fills an account's bucket
only by ``SHARE``, so that whoever guesses from one place locks out himself and not the account's owner, while many
places together come to the account's limit. Addresses where the account logged in before are not held by that one.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from service.errors_base import TooManyTries

Counted = tuple[tuple[str, ...], ...]  # the buckets that a try went into

LIMITS = ((5, 60.0), (20, 3600.0))  # (failures, in seconds)
SHARE = 2  # failures an hour of one address that count for an account
MAX_KEPT = 20_000  # addresses, accounts and pairs of them; the one not seen for longest goes first
_LONGEST_S = max(window_s for _, window_s in LIMITS)


class LoginLimits:
    """``begin`` before a password is looked at, which counts as a failure until ``succeeded``."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = MAX_KEPT) -> None:
        self._clock = clock
        self._most = most
        self._failures: OrderedDict[tuple[str, ...], deque[float]] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        self.forgotten = 0  # buckets dropped while they still held failures
        self.turned_away = 0

    def begin(self, account: str, address: str) -> Counted:
        """→ what ``succeeded`` takes back. Raises TooManyTries; what is refused here is not counted again."""
        place = _place(address)
        now = self._clock()
        known = (account, place) in self._known
        waits = [self._wait_s(("address", place), now), 0.0 if known else self._wait_s(("account", account), now)]
        if max(waits) > 0:
            self.turned_away += 1
            raise TooManyTries(max(1, math.ceil(max(waits))))
        counted = self._counted(account, place, known, now)
        for key in counted:
            self._add(key, now)
        return counted

    def succeeded(self, account: str, address: str, counted: Counted) -> None:
        """Takes back what its ``begin`` counted, no failure of anybody else; remembers the address for the account."""
        place = _place(address)
        for key in counted:
            if self._failures.get(key):
                self._failures[key].pop()
        self._known[account, place] = None
        self._known.move_to_end((account, place))
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def measures(self) -> dict[str, Any]:
        """For ``/metrics``."""
        return {"counters": {"turned_away_total": self.turned_away, "buckets_forgotten_total": self.forgotten}}

    def _counted(self, account: str, place: str, known: bool, now: float) -> Counted:
        pair = ("pair", account, place)
        counts = not known and len(self._recent(pair, now)) < SHARE
        return (("address", place), *([("account", account), pair] if counts else []))

    def _wait_s(self, key: tuple[str, ...], now: float) -> float:
        """→ seconds until one more failure fits; 0: now."""
        times = self._recent(key, now)
        waits = [times[-most] + window_s - now for most, window_s in LIMITS if len(times) >= most]
        return max([0.0, *waits])

    def _recent(self, key: tuple[str, ...], now: float) -> deque[float]:
        times = self._failures.get(key, deque())
        while times and times[0] <= now - _LONGEST_S:
            times.popleft()
        return times

    def _add(self, key: tuple[str, ...], now: float) -> None:
        self._failures.setdefault(key, deque(maxlen=LIMITS[-1][0])).append(now)
        self._failures.move_to_end(key)
        while len(self._failures) > self._most:
            oldest, _ = next(iter(self._failures.items()))
            self.forgotten += bool(self._recent(oldest, now))
            del self._failures[oldest]


def _place(address: str) -> str:
    """Whoever has one IPv6 address has the other 2^64 of its network as well."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else str(parsed)
