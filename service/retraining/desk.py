"""Trainings ordered, run one after the other, cancelled, and taken up again after a restart of the service."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from models.retraining.order import JUDGING, Order, write_order
from service.access.audit_protocol import Audit
from service.errors_base import Conflict, Unavailable, not_found
from service.ids import new_id
from service.retraining.feature_room import keep_within
from service.retraining.label_ages import LabelAges
from service.retraining.process import GO, LOG_FILE, ORDER_FILE, PAUSE, TrainingProcess, running
from service.rights import ALL, Principal
from service.settings import Settings
from service.storage.database import Database, StoreError
from service.storage.records import Cursor, Page
from service.storage.rules import RuleStore
from service.storage.store import Store
from service.storage.trainings.store import UNDER_WAY, WAITING, TrainingRecord, TrainingStore
from service.stream_state import StreamState
from service.supervisor_protocol import Supervisor

log = logging.getLogger(__name__)

MOST_OPEN = 8  # trainings that wait or run
MOST_ATTEMPTS = 3  # a training that takes the machine down with it is not tried for ever
KEPT_LOGS = 20  # of trainings that failed
LOOK_S = 1.0
STREAMS_S = 30.0  # how often it is asked which streams there are
LEFT_S = 5.0  # after an error of the store
PACKAGES = ("sklearn", "imagehash", "albumentations")  # of `pip install -e '.[train]'`


@dataclass(frozen=True, slots=True)
class TrainingParts:
    """``serving``: alias → the version that serves, which a training starts from."""

    settings: Settings
    database: Database
    store: Store
    supervisor: Supervisor
    audit: Audit
    serving: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class TrainingView:
    """A training as it is now. ``left_s``: seconds, as far as can be told."""

    record: TrainingRecord
    left_s: float | None = None
    paused: str | None = None


class TrainingDesk:
    """All methods run on the event loop; each may raise StoreError."""

    def __init__(self, parts: TrainingParts, clock: Callable[[], float] = time.monotonic) -> None:
        self._parts = parts
        self._clock = clock
        self._trainings = TrainingStore(parts.database)
        self._ages = LabelAges(parts.settings.training_label_age_s)
        self._wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._streams: Sequence[str] = ()
        self._asked_s = -STREAMS_S  # when it was asked last which streams there are
        self._now: TrainingView | None = None  # the one that runs
        self._process: TrainingProcess | None = None
        self._cancelled: set[str] = set()  # that ran, and whose end is not stored yet
        self._turn = asyncio.Lock()  # to say what becomes of one that does not run

    async def open(self) -> None:
        """What was under way when the service ended goes on, where it stopped."""
        await self._take_up()
        self._wanted.set()
        for work in (self._run, self._watch):
            self._tasks.append(asyncio.create_task(work(), name=f"trainings {work.__name__}"))

    async def close(self) -> None:
        """A training that runs is ended; the next start takes it up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- what is asked for

    async def start(self, base: str, config: str, force_count: bool, who: Principal) -> TrainingView:
        """Raises Conflict where there is nothing to learn from, or too many wait; Unavailable without the packages."""
        missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
        if missing:
            raise Unavailable("training needs more packages here: pip install -e '.[train]'", retry_after_s=3600)
        if not await asyncio.to_thread(self._has_corrections):
            raise Conflict("there are no corrections yet: correct some labels first")
        record = TrainingRecord(
            id=new_id("trn"),
            base=base,
            config=config,
            force_count=force_count,
            by=who.name or who.id,
            created_at=time.time(),
        )
        if not await self._trainings.add(record, MOST_OPEN):
            raise Conflict(f"there are {MOST_OPEN} trainings that wait or run, which is the limit")
        self._wanted.set()
        return TrainingView(record)

    async def get(self, training_id: str) -> TrainingView:
        """Raises NotFound."""
        record = await self._trainings.get(training_id)
        if record is None:
            raise not_found("training", training_id)
        return self._view(record)

    async def page(self, cursor: Cursor | None, limit: int) -> Page[TrainingView]:
        """Newest first."""
        page = await self._trainings.list(cursor, limit)
        return Page(tuple(self._view(record) for record in page.items), page.next_cursor)

    async def cancel(self, training_id: str) -> None:
        """One that waits or runs; what it has made so far goes. Raises NotFound, Conflict where it is over."""
        async with self._turn:
            record = (await self.get(training_id)).record
            if record.is_over:
                raise Conflict(f"the training is over: {record.state}")
            if self._now is None or self._now.record.id != training_id:
                why = "cancelled before it began" if record.started_at is None else "cancelled"
                return await self._over(record, "cancelled", why)
            self._cancelled.add(training_id)
            if self._process is not None:
                self._process.kill()

    def measures(self) -> dict[str, Any]:
        """For ``/metrics``."""
        now = self._now
        paused = now is not None and now.paused is not None
        return {"gauges": {"running": float(now is not None), "paused": float(paused)}}

    def _view(self, record: TrainingRecord) -> TrainingView:
        now = self._now
        return now if now is not None and now.record.id == record.id and not record.is_over else TrainingView(record)

    def _has_corrections(self) -> bool:
        folder = self._parts.settings.corrections_dir
        return folder.is_dir() and any(path.is_dir() for path in folder.iterdir() if not path.name.startswith("."))

    # -- what is done

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._take_up()
                while (record := await self._begin()) is not None:
                    await self._train(record)
            except Exception as error:  # the task's outermost frame: without it nothing would be trained any more
                log.error("trainings wait: %s", error, exc_info=not isinstance(error, StoreError))
                await asyncio.sleep(LEFT_S)
                self._wanted.set()

    async def _take_up(self) -> None:
        """What is under way by its row while nothing runs: the service ended, or the store took no end of it."""
        async with self._turn:
            for record in await self._trainings.open_ones():
                if record.id in self._cancelled:
                    await self._over(record, "cancelled", "cancelled")
                elif record.state in UNDER_WAY:
                    await self._trainings.keep(_taken_up(record))

    async def _begin(self) -> TrainingRecord | None:
        """→ the next one that waits, which runs from now on."""
        async with self._turn:
            waiting = (each for each in await self._trainings.open_ones() if each.state == WAITING)
            if (record := next(waiting, None)) is None:
                return None
            began = replace(
                record,
                state="running",
                attempts=record.attempts + 1,
                started_at=record.started_at or time.time(),
                step="starting",
            )
            await self._trainings.keep(began)
            self._now = TrainingView(began)
            return began

    async def _train(self, began: TrainingRecord) -> None:
        """To its end, whatever comes. Raises StoreError where that cannot be stored."""
        try:
            self._ages.begin()
            outcome = await self._outcome(began)
            await self._end(began, outcome)
        except StoreError:
            raise
        except OSError as error:
            await self._over(began, "failed", f"its process cannot be run: {error}")
        except Exception as error:  # nobody else hears of it, and the next training has its turn all the same
            log.exception("training %s failed", began.id)
            await self._over(began, "failed", f"an error of the service: {type(error).__name__}")
        finally:
            self._now = self._process = None

    async def _outcome(self, record: TrainingRecord) -> Mapping[str, Any]:
        """→ the last thing that the process told; empty where it ended without a word."""
        folder = self._parts.settings.trainings_dir / record.id
        order = await self._order(record)
        await asyncio.to_thread(write_order, order, folder / ORDER_FILE)
        async with running(folder) as process:
            self._process = process
            if record.id in self._cancelled:
                return {}
            async for message in process.messages():
                if "progress" not in message:
                    return message
                await self._heard(message["progress"])
            status = await process.end()
            told = f"exited with status {status}" if status >= 0 else f"was ended by signal {-status}"
            return {"failed": f"its process {told}; {folder / LOG_FILE} says more"}

    async def _heard(self, told: Mapping[str, Any]) -> None:
        """A new state is stored; how far it is changes too often."""
        if self._now is None:
            return
        before = self._now.record
        step = str(told["what"])
        state = "paused" if self._now.paused else "gate" if step.startswith(JUDGING) else "running"
        record = replace(before, state=state, step=step, progress=float(told["share"]))
        self._now = TrainingView(record, told["left_s"], self._now.paused)
        if state != before.state:
            with contextlib.suppress(StoreError):  # no reason to end it: whoever asks is told what is known here
                await self._trainings.keep(record)

    async def _end(self, record: TrainingRecord, told: Mapping[str, Any]) -> None:
        outcome = told.get("outcome")
        if outcome is not None:  # also where it was cancelled too late: the version is there
            done = replace(record, version=outcome["version"], gate=outcome["gate"], progress=1.0)
            passed = "passed" if outcome["gate"]["passed"] else "refused"
            await self._over(done, "done", _told(outcome), passed)
        elif record.id in self._cancelled:
            await self._over(record, "cancelled", "cancelled")
        else:
            await self._over(record, "failed", str(told["failed"]))

    async def _over(self, record: TrainingRecord, state: str, reason: str, gate: str = "") -> None:
        """The last word on a training. What it has made on the way goes: its version lies in the weights folder."""
        last = self._now.record.progress if self._now is not None and self._now.record.id == record.id else 0.0
        ended = replace(
            record,
            state=state,
            reason=reason,
            step="",
            progress=max(record.progress, last),
            ended_at=time.time(),
        )
        await self._trainings.keep(ended)
        self._cancelled.discard(record.id)
        try:
            await asyncio.to_thread(self._tidy, record.id, state)
        except OSError as error:  # it has ended all the same
            log.warning("what training %s made on the way cannot be tidied away: %s", record.id, error)
        detail = {"state": state, "version": record.version, "gate": gate, "reason": reason}
        result = "failed" if state == "failed" else "ok"
        await self._parts.audit.record(None, "trainings:end", record.id, result, detail)
        log.info("training %s of %s %s: %s", record.id, record.base, state, reason)

    def _tidy(self, training_id: str, state: str) -> None:
        """Of one that failed the log is kept, of the last few at least."""
        root = self._parts.settings.trainings_dir
        shutil.rmtree(root / training_id / "run" if state == "failed" else root / training_id, ignore_errors=True)
        logs = sorted(root.glob(f"*/{LOG_FILE}"), key=lambda path: path.stat().st_mtime)
        for path in logs[:-KEPT_LOGS]:
            shutil.rmtree(path.parent, ignore_errors=True)
        keep_within(self._parts.settings.cache_dir / "features")

    async def _order(self, record: TrainingRecord) -> Order:
        settings = self._parts.settings
        return Order(
            parent=self._parts.serving(record.base),
            corrections=settings.corrections_dir.resolve(),
            weights=settings.weights_dir.resolve(),
            run=(settings.trainings_dir / record.id / "run").resolve(),
            cache=(settings.cache_dir / "features").resolve(),
            configuration=record.config,
            base=None if settings.base_data is None else settings.base_data.resolve(),
            used=await self._used_labels(record.base),
            force_count=record.force_count,
            command=f"actoscope retrain {record.base} --config {record.config}",
        )

    async def _used_labels(self, base: str) -> dict[str, list[str]]:
        """→ labels that streams of this model, and rules, name, with the names of these."""
        used: dict[str, list[str]] = {}
        streams = [each for each in await self._parts.store.all_streams(ALL) if each.model == base]
        for stream in streams:
            for label in stream.actions or {}:
                used.setdefault(label, []).append(stream.name)
        ids = {stream.id for stream in streams}
        for rule in await RuleStore(self._parts.database).all():
            if rule.enabled and (not rule.body["streams"] or ids & set(rule.body["streams"])):
                for label in rule.body.get("actions") or {}:
                    used.setdefault(label, []).append(rule.name)
        return used

    # -- who comes first

    async def _watch(self) -> None:
        """Pauses what runs while labels come late."""
        while True:
            try:
                await self._look()
            except Exception:  # the task's outermost frame: without it no training would ever make room again
                log.exception("it is not known whether labels come late")
                await asyncio.sleep(LEFT_S)
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        if self._clock() - self._asked_s >= STREAMS_S:
            self._asked_s = self._clock()
            with contextlib.suppress(StoreError):
                self._streams = sorted(await self._parts.store.stream_ids())
        self._ages.add(self._clock(), self._label_ages())
        await self._make_room()

    def _label_ages(self) -> Iterator[float]:
        for stream_id in self._streams:
            status = self._parts.supervisor.status(stream_id)
            if status.state is StreamState.RUNNING and status.label_age_ms is not None:
                yield status.label_age_ms / 1000

    async def _make_room(self) -> None:
        now, why = self._now, self._ages.suffering()
        if now is None or self._process is None or (now.paused is None) == (why is None):
            self._now = now if now is None or now.paused is None else replace(now, paused=why)
            return
        self._process.say(GO if why is None else PAUSE)
        state = "running" if why is None else "paused"
        record = replace(now.record, state=state)
        self._now = TrainingView(record, now.left_s, why)
        with contextlib.suppress(StoreError):
            await self._trainings.keep(record)


def _taken_up(record: TrainingRecord) -> TrainingRecord:
    if record.attempts < MOST_ATTEMPTS:
        return replace(record, state=WAITING, step="taken up again where it stopped")
    why = f"it was interrupted {record.attempts} times: the service ended, or its database failed"
    return replace(record, state="failed", step="", reason=why, ended_at=time.time())


def _told(outcome: Mapping[str, Any]) -> str:
    left_out = "; ".join(f"{count} left out: {reason}" for reason, count in outcome["left_out"].items())
    learnt = f"learnt from {outcome['learnt']} corrections, judged on {outcome['audit']} audit labels"
    return f"{learnt}; {left_out}" if left_out else learnt
