"""Whether a version that was promoted tells far more alerts than its trial foretold. Changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from models.errors import CardError
from models.weights.cards import light_card, read_card
from service.promotion.forecast import DAY_S, alerts_among
from service.rights import ALL
from service.storage.review.shadow import ShadowStore
from service.storage.rules import RuleStore
from service.storage.store import Store
from service.versions.pointer import Pointer

HOUR_S = 3600.0
ITSELF = "actoscope"  # by whom a roll-back was that nobody asked for


@dataclass(frozen=True, slots=True)
class Limits:
    """When a version that was promoted is rolled back by itself: within ``watch_s`` it told more than ``least`` alerts
    and more than ``times`` as many as were foretold for the time that passed.
    """

    times: float = 3.0
    least: int = 10
    watch_s: float = DAY_S
    check_every_s: float = 60.0


@dataclass(frozen=True)
class Excess:
    """Each method may raise StoreError."""

    weights_dir: Path
    store: Store
    rules: RuleStore
    trials: ShadowStore
    limits: Limits = Limits()

    async def too_many(self, pointer: Pointer, now: float) -> str | None:
        """→ at Unix time ``now``, why the version that serves is to be rolled back; None where it is not."""
        promoted = pointer.newest()
        if promoted is None or promoted.what != "promoted" or promoted.forecast is None:
            return None
        passed_s = now - promoted.at
        tried = any(each.what == "failed" and each.by == ITSELF and each.at > promoted.at for each in pointer.history)
        if tried or not 0 < passed_s <= self.limits.watch_s:  # what could not be gone back to is not tried each minute
            return None
        names = await asyncio.to_thread(self._networks, promoted.version)
        told = await self._alerts_since(names, promoted.at)
        foretold = promoted.forecast * passed_s / DAY_S
        if told <= max(self.limits.least, self.limits.times * foretold):
            return None
        return f"{told} alerts in {passed_s / HOUR_S:.1f} hours, its trial foretold {foretold:.1f}"

    async def _alerts_since(self, networks: list[str], since: float) -> int:
        """By the rules and on the streams of then: of others nothing was foretold."""
        streams = {stream.id for stream in await self.store.all_streams(ALL) if stream.created_at <= since}
        rules = [rule for rule in await self.rules.all() if rule.created_at <= since]
        events = await self.trials.events_since(networks, since)
        return alerts_among((event for event in events if event[0] in streams), rules)

    def _networks(self, version: str) -> list[str]:
        """→ the names that its events may carry."""
        try:
            light = light_card(read_card(self.weights_dir / version))
        except CardError:
            light = None
        return [version] if light is None else [version, light.folder.name]
