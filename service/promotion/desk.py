"""Which version of a model serves: tried, promoted, rolled back, by people and by itself.

A promotion loads the version beside the one that serves; only then the pointer's file names it, and only then streams
are told, which go on with it from their next frame. Whatever fails before leaves the former one serving.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

from models.errors import CardError
from models.weights.cards import light_card, verify
from service.access.audit_protocol import Audit
from service.errors_base import Conflict, Unavailable, invalid, not_found
from service.hub import Hub
from service.promotion.checks import objections
from service.promotion.excess import HOUR_S, ITSELF, Excess
from service.promotion.trial import Readiness, ShadowTrial, trial_of
from service.rights import ALL, Principal, Visible
from service.settings import Settings
from service.storage.database import Database, StoreError
from service.storage.records import StreamRecord
from service.storage.review.shadow import ShadowStore
from service.storage.rules import RuleStore
from service.storage.store import Store
from service.stream_state import StreamState
from service.supervisor_protocol import Supervisor
from service.versions.names import VersionName, is_pinned
from service.versions.pointer import Pointer, Pointers, VersionChange
from service.versions.shelf import VersionFacts, find_version, versions_of
from service.versions.tally import ShadowTally
from service.wire_messages import to_stream_message

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for a change, from where and why."""

    who: Principal | None
    reason: str = ""
    address: str = ""
    forced: bool = False

    @property
    def by(self) -> str:
        return ITSELF if self.who is None else self.who.name


class PromotionDesk:
    """All methods on the API's event loop; changes are made one after the other."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        database: Database,
        hub: Hub,
        supervisor: Supervisor,
        audit: Audit,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._weights_dir = settings.weights_dir
        self._default = settings.model
        self.pointers = Pointers.of(settings)
        self._store = store
        self._rules = RuleStore(database)
        self.trials = ShadowStore(database)
        self._hub = hub
        self._supervisor = supervisor
        self._audit = audit
        self._clock = clock
        self.readiness = Readiness()
        self._excess = Excess(settings.weights_dir, store, self._rules, self.trials)
        self._turn = asyncio.Lock()
        self._loading: asyncio.Task[None] | None = None  # of a version that is to be promoted
        self._roll_backs = 0  # that wait for their turn or have it
        self._tasks: set[asyncio.Task[None]] = set()
        self._counters = dict.fromkeys(COUNTERS, 0)
        supervisor.models.on_tally = self._keep
        supervisor.models.on_shadow_failed = self._shadow_failed
        supervisor.models.on_broken = self._broken

    async def open(self) -> None:
        self._behind(self._watch_forever(), "promotions")

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def measures(self) -> dict[str, Any]:
        return {"counters": dict(self._counters)}

    # -- what there is

    async def versions(self, alias: str) -> tuple[Pointer, list[VersionFacts]]:
        """→ what serves, and all versions, newest first. Raises NotFound."""
        found = [] if is_pinned(alias) else await asyncio.to_thread(versions_of, self._weights_dir, alias)
        if not found:
            raise not_found("model", alias)
        return self._pointer(alias), found

    async def trial(self, alias: str, visible: Visible) -> ShadowTrial | None:
        """→ how the version that is tried does in the streams that may be seen; None where none is. Raises NotFound."""
        pointer, _ = await self.versions(alias)
        if pointer.shadow is None:
            return None
        tallies = await self.trials.of(pointer.shadow, visible)
        streams, rules = await self._store.all_streams(visible), await self._rules.all()
        hours = (self._clock() - (pointer.shadow_since or 0.0)) / HOUR_S
        return trial_of(pointer.shadow, tallies, streams, rules, max(0.0, hours), self.readiness)

    def _pointer(self, alias: str) -> Pointer:
        """What serves is what is there, should its folder be gone."""
        return replace(self.pointers.read(alias), serving=self.pointers.serving(alias))

    # -- changes by people

    async def promote(self, alias: str, version: str, asked: Asked) -> None:
        """Raises NotFound, Conflict where something speaks against it and nobody forces it, Unavailable where it
        cannot be loaded, which is remembered.
        """
        if asked.forced and not asked.reason.strip():
            raise invalid("reason", "why it is to serve all the same: `force` needs a reason", asked.reason)
        async with self._turn:
            facts = await self._find(alias, version)
            pointer = self._pointer(alias)
            name = str(facts.name)
            if name == pointer.serving:
                raise Conflict(f"{name} serves already")
            streams, rules = await self._store.all_streams(ALL), await self._rules.all()
            against = objections(facts, pointer.serving, streams, rules)
            if against and not asked.forced:
                await self._note(asked, "models:promote", name, "refused", why=against)
                raise Conflict(f"{name} is not promoted: {'; '.join(against)}. `force` with a reason overrules that")
            foretold = await self._foretold(alias, name)
            before = pointer.serving
            change = VersionChange(
                "promoted", name, before, self._clock(), asked.by, asked.reason, bool(against), foretold
            )
            await self._switch(pointer, change, asked)
            await self._note(asked, "models:promote", name, before=before, forced=bool(against), against=against)
            self._counters["promotions_total"] += 1

    async def roll_back(self, alias: str, asked: Asked) -> None:
        """To the version that served before. Raises NotFound, Conflict where there is none, Unavailable.

        A promotion that loads meanwhile is given up: what is wrong now must not go on for as long as a load may take.
        """
        await self.versions(alias)  # a name that is none gives up nothing
        async with self._at_once():
            await self._roll_back(self._pointer(alias), "rolled_back", asked)

    @contextlib.asynccontextmanager
    async def _at_once(self) -> AsyncIterator[None]:
        """The turn of a roll-back, which waits for no load."""
        self._roll_backs += 1
        try:
            if self._loading is not None:
                self._loading.cancel()
            async with self._turn:
                await self._supervisor.models.make_way()
                yield
        finally:
            self._roll_backs -= 1

    async def shadow(self, alias: str, version: str | None, asked: Asked) -> None:
        """Tries a version beside the one that serves, from now on; None: none. Raises NotFound, Conflict."""
        async with self._turn:
            pointer, _ = await self.versions(alias)
            name = None if version is None else str((await self._find(alias, version)).name)
            if name == pointer.shadow:
                return
            if name == pointer.serving:
                raise Conflict(f"{name} serves: another one is to be tried beside it")
            if name is not None:
                await self.trials.forget(name)
            await self._try(pointer, name)
            await self._note(asked, "models:shadow", name or alias, before=pointer.shadow)

    async def _find(self, alias: str, version: str) -> VersionFacts:
        name = VersionName.parse(version)
        if name.alias != alias:
            raise invalid("version", f"a version of {alias}, such as {alias}@2", version)
        await self.versions(alias)
        try:
            return await asyncio.to_thread(find_version, self._weights_dir, name)
        except CardError as error:
            log.warning("%s: %s", version, error)
            raise not_found("version", version) from None

    # -- the change itself

    async def _switch(self, pointer: Pointer, change: VersionChange, asked: Asked) -> None:
        """Raises Unavailable where the version cannot be loaded: what serves goes on, and the try is remembered."""
        try:
            await self._load(pointer.alias, change)
        except (Unavailable, CardError, OSError) as error:
            failed = replace(change, what="failed", reason=f"{change.reason}: {error}".removeprefix(": "))
            await self._write(pointer.with_change(failed))
            self._counters["rollbacks_total:load"] += 1
            action = "models:promote" if change.what == "promoted" else "models:rollback"
            await self._note(asked, action, change.version, "failed", why=str(error), serving=pointer.serving)
            raise Unavailable(f"{pointer.serving} goes on serving: {error}", retry_after_s=60) from error
        await self._write(pointer.with_change(change))
        took_s = await self._supervisor.models.follow(pointer.alias)
        log.info("%s serves in the place of %s; streams followed in %.2f s", change.version, change.before, took_s)
        await self._tell(pointer.alias, f"{change.version} answers from now on: {change.what} by {change.by}")

    async def _load(self, alias: str, change: VersionChange) -> None:
        """What is gone back to while nothing can load anything is loaded by the next process that starts: the version
        that serves may be what keeps it from starting.
        """
        facts = await self._find(alias, change.version)
        light = light_card(facts.card)
        for card in [facts.card] if light is None else [facts.card, light]:
            await asyncio.to_thread(verify, card)
        if change.what == "promoted":
            await self._load_unless_rolled_back(alias, change.version)
        elif self._supervisor.ready:
            await self._supervisor.models.load(alias, change.version)

    async def _load_unless_rolled_back(self, alias: str, version: str) -> None:
        """Raises Unavailable where a roll-back comes first."""
        given_up = Unavailable(f"{version} is not loaded any further: a roll-back came first", retry_after_s=60)
        if self._is_in_the_way():
            raise given_up
        self._loading = asyncio.create_task(self._supervisor.models.load(alias, version), name=f"loading {version}")
        try:
            await self._loading
        except asyncio.CancelledError:
            if not self._is_in_the_way():  # the service ends
                raise
            self._counters["promotions_given_up_total"] += 1
            raise given_up from None
        finally:
            self._loading = None

    def _is_in_the_way(self) -> bool:
        """Whether a roll-back waits for the turn."""
        return self._roll_backs > 0

    async def _roll_back(self, pointer: Pointer, what: str, asked: Asked) -> None:
        target = pointer.before()
        if target is None:
            raise Conflict(f"{pointer.serving} serves, and no version served before it")
        change = VersionChange(what, target, pointer.serving, self._clock(), asked.by, asked.reason)
        await self._switch(pointer, change, asked)
        await self._note(asked, "models:rollback", target, before=pointer.serving, automatic=asked.who is None)
        self._counters["rollbacks_total:alerts" if asked.who is None else "rollbacks_total:asked"] += 1

    async def _try(self, pointer: Pointer, version: str | None) -> None:
        """Another version is tried from now on, or none."""
        since = None if version is None else self._clock()
        stored = self.pointers.read(pointer.alias)
        await self._write(replace(stored, shadow=version, shadow_since=since))
        await self._supervisor.models.follow(pointer.alias)

    async def _write(self, pointer: Pointer) -> None:
        """Raises Unavailable where the disk takes nothing: what serves goes on."""
        try:
            await asyncio.to_thread(self.pointers.write, pointer)
        except OSError as error:
            raise Unavailable(f"what serves cannot be written down: {error}", retry_after_s=60) from error

    async def _note(self, asked: Asked, action: str, version: str, result: str = "ok", **detail: Any) -> None:
        told = {"reason": asked.reason, "by": asked.by, **detail}
        await self._audit.record(asked.who, action, version, result, told, asked.address)

    async def _tell(self, alias: str, reason: str) -> None:
        """A message for each stream that the change is about."""
        for stream in await self._of(alias):
            state = self._supervisor.status(stream.id).state
            if state not in (StreamState.STOPPED, StreamState.FAILED):
                await self._hub.publish_stream(to_stream_message(stream.id, state.value, "model", reason))

    async def _of(self, alias: str) -> list[StreamRecord]:
        return [stream for stream in await self._store.all_streams(ALL) if stream.model == alias]

    # -- changes that nobody asked for

    async def check(self) -> None:
        """Rolls back versions that tell far more alerts than their trial foretold. Raises StoreError."""
        for alias in await asyncio.to_thread(self.pointers.aliases):
            if await self._excess.too_many(self._pointer(alias), self._clock()) is None:
                continue
            async with self._at_once():
                pointer = self._pointer(alias)
                why = await self._excess.too_many(pointer, self._clock())
                if why is not None:  # it still is what serves
                    log.error("%s is rolled back: %s", pointer.serving, why)
                    await self._roll_back(pointer, "automatic", Asked(None, why))

    async def _keep(self, stream_id: str, tally: ShadowTally) -> None:
        """What a stream's process counted of a trial."""
        try:
            await self.trials.add(stream_id, tally, self._clock())
        except StoreError as error:  # figures of ten seconds: no reason to end a stream's process
            self._counters["tallies_lost_total"] += 1
            log.warning("what %s would have said in %s is not kept: %s", tally.version, stream_id, error)

    async def _foretold(self, alias: str, version: str) -> float | None:
        """→ alerts a day of all streams together; None where the version was not tried enough."""
        pointer = self._pointer(alias)
        if pointer.shadow != version:
            return None
        trial = await self.trial(alias, ALL)
        if trial is None or not trial.ready:  # of too little it would foretell nothing, and any alert were too many
            return None
        return sum(each.alerts_a_day_challenger for each in trial.by_stream)

    async def _watch_forever(self) -> None:
        while True:
            await asyncio.sleep(self._excess.limits.check_every_s)
            try:
                await self.check()
            except (StoreError, Unavailable, Conflict) as error:
                log.error("promoted versions cannot be watched: %s", error)
            except Exception:  # the task's outermost frame
                log.exception("promoted versions cannot be watched")

    def _shadow_failed(self, alias: str, reason: str) -> None:
        self._behind(self._end_trial(alias, reason), f"trial of {alias}")

    async def _end_trial(self, alias: str, reason: str) -> None:
        async with self._turn:
            pointer = self.pointers.read(alias)
            if pointer.shadow is not None:
                await self._try(pointer, None)
                await self._note(Asked(None, reason), "models:shadow", pointer.shadow, "failed")
                self._counters["trials_failed_total"] += 1

    def _broken(self, version: str, reason: str) -> None:
        self._behind(self._mend(version, reason), "broken version")

    async def _mend(self, version: str, reason: str) -> None:
        """The inference process does not start with the version that serves: the one before it does from now on."""
        async with self._turn:
            pointer = self._pointer(self._default)
            target = pointer.before()
            if target is None or pointer.serving != version:  # somebody was faster
                return
            why = f"it cannot be loaded: {reason}"
            change = VersionChange("automatic", target, pointer.serving, self._clock(), ITSELF, why)
            await self._write(pointer.with_change(change))
            await self._supervisor.models.follow(self._default)
            await self._note(Asked(None, why), "models:rollback", target, before=pointer.serving, automatic=True)
            self._counters["rollbacks_total:load"] += 1
            await self._tell(self._default, f"{target} answers from now on: {pointer.serving} cannot be loaded")

    def _behind(self, work: Any, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


COUNTERS = (
    "promotions_total",
    "promotions_given_up_total",
    "rollbacks_total:asked",
    "rollbacks_total:alerts",
    "rollbacks_total:load",
    "trials_failed_total",
    "tallies_lost_total",
)
