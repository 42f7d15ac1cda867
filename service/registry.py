"""The streams that exist: add, change, remove. Keeps the stored streams and the running ones in step."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from pydantic import SecretStr

from pipeline.entities import Zone
from pipeline.errors import SourceUrlError
from pipeline.sources.url import SourcePolicy, SourceUrl
from service.bodies import Stream, StreamCreate, StreamPatch, to_stream
from service.catalogue import Catalogue, check_form
from service.errors_base import Conflict, NotFound, invalid, not_found
from service.hub import Hub
from service.ids import new_id
from service.rights import ALL, Principal, Visible
from service.settings import Settings
from service.storage.database import StoreError
from service.storage.records import StreamRecord
from service.storage.store import Store
from service.stream_state import StreamState
from service.supervisor_protocol import StreamStatus, Supervisor

log = logging.getLogger(__name__)

STOP_S = 4.8  # DELETE answers within 5 s; what takes longer goes on behind

_UNREADABLE_URL = "the stored URL cannot be decrypted with this data folder's key: give the stream its URL again"
_FINISHED = "the file was read to its end"


class StreamRegistry:
    """One lock a stream keeps changes of the same stream in order; streams do not wait for each other."""

    def __init__(
        self, settings: Settings, store: Store, hub: Hub, supervisor: Supervisor, catalogue: Catalogue
    ) -> None:
        self._settings = settings
        self._store = store
        self._hub = hub
        self._supervisor = supervisor
        self._catalogue = catalogue
        self._policy = SourcePolicy(
            media_roots=settings.media_roots,
            hls_hosts=frozenset(settings.hls_hosts),
            max_pixels=settings.max_pixels,
        )
        self._adding = asyncio.Lock()
        # A lock lives as long as somebody holds or awaits it: ids that are unknown or deleted leave nothing behind.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_rights: list[Callable[[], None]] = []  # called when streams come, go or change their groups
        hub.on_stream.append(self._on_stream)

    async def resume(self) -> None:
        """Starts every stream that was running when the service ended; a file that came to its end is not repeated."""
        for stored in await self._store.all_streams(ALL):
            record = await self._renamed(stored)
            if record.enabled and record.finished_at is None and record.url.get_secret_value():
                await self._supervisor.start(record)

    async def _renamed(self, record: StreamRecord) -> StreamRecord:
        """Older versions named a stream after the end of its path, also where a password stood there."""
        tail = _path_name(record.url.get_secret_value())
        if tail and record.name.endswith(f" {tail}") and tail not in record.url_redacted:
            record = replace(record, name=record.name.removesuffix(f" {tail}"))
            await self._store.change_stream(record)
        return record

    async def close(self) -> None:
        """Waits for streams that are still being stopped."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_S)

    async def get(self, stream_id: str, visible: Visible) -> StreamRecord:
        """Raises NotFound, also for a stream that may not be seen."""
        record = await self._store.get_stream(stream_id, visible)
        if record is None:
            raise not_found("stream", stream_id)
        return record

    def describe(self, record: StreamRecord, who: Principal) -> Stream:
        """The stream as answers show it to this principal."""
        if not record.url.get_secret_value():
            status = StreamStatus(StreamState.FAILED, "key_lost", _UNREADABLE_URL, record.created_at)
        else:
            status = self._supervisor.status(record.id)
            if record.finished_at is not None and (status.state, status.code) == (StreamState.STOPPED, None):
                status = StreamStatus(StreamState.STOPPED, "ended", _FINISHED, record.finished_at)  # in an earlier run
        return to_stream(record, status, who)

    async def add(self, asked: StreamCreate) -> StreamRecord:
        """Raises InvalidRequest for what cannot be watched, Conflict when there are as many streams as may be."""
        source = self._parse(asked.url)
        record = StreamRecord(
            id=new_id("str"),
            name=asked.name or default_name(source),
            url=_without_options(asked.url),
            model=asked.model or self._settings.model,
            actions=asked.actions,
            record=self._settings.record if asked.record is None else asked.record,
            transport=asked.transport,
            pace=source.options.pace or asked.pace,
            loop=asked.loop if source.options.loop is None else source.options.loop,
            created_at=time.time(),
            tier=asked.tier,
            snapshot_s=asked.snapshot_s,
            tls_verify=asked.tls_verify,
            record_overlay=self._settings.record_overlay if asked.record_overlay is None else asked.record_overlay,
            groups=tuple(asked.groups),
            exercise=asked.exercise,
            form=asked.form,
        )
        check_form(record.exercise, record.form, self._settings)
        await self._catalogue.check(record.model, record.actions, record.tier)
        async with self._lock(record.id):  # a DELETE between row and start would leave a running stream without a row
            async with self._adding:
                await self._check_room()
                await self._store.add_stream(record)
            self._rights_changed()
            await self._supervisor.start(record)
        return record

    def _lock(self, stream_id: str) -> asyncio.Lock:
        return self._locks.setdefault(stream_id, asyncio.Lock())

    async def _check_room(self) -> None:
        if len(await self._store.stream_ids()) >= self._settings.max_streams:
            limit = self._settings.max_streams
            raise Conflict(f"there are {limit} streams, which is the limit that the operator set")

    async def change(self, stream_id: str, patch: StreamPatch) -> StreamRecord:
        """Raises NotFound, InvalidRequest, and Conflict where the stored URL is unreadable and no other is given."""
        changes = patch.model_dump(include=patch.model_fields_set)
        if "groups" in changes:
            changes["groups"] = tuple(changes["groups"])
        async with self._lock(stream_id):
            record = await self.get(stream_id, ALL)
            if "url" not in changes:
                _check_readable(record)
            fresh = replace(record, **self._with_source(record, changes))
            if fresh.record != record.record:
                fresh = replace(fresh, record_since=time.time())
            if not _same_work(record, fresh):
                fresh = replace(fresh, finished_at=None)  # the change plays it anew
            if {"exercise", "form"} & changes.keys():
                check_form(fresh.exercise, fresh.form, self._settings)
            if {"model", "actions", "tier"} & changes.keys():
                await self._catalogue.check(fresh.model, fresh.actions, fresh.tier)
            if not await self._store.change_stream(fresh):
                raise not_found("stream", stream_id)
            if fresh.groups != record.groups:
                self._rights_changed()
            await self._apply(record, fresh)
        return fresh

    def _rights_changed(self) -> None:
        for listener in self.on_rights:
            listener()

    def _with_source(self, record: StreamRecord, changes: Mapping[str, Any]) -> dict[str, Any]:
        if "url" not in changes:
            # What older versions stored may carry options, which would win over the ones given now.
            url = _without_options(record.url.get_secret_value()) if {"pace", "loop"} & changes.keys() else record.url
            return {**changes, "url": url}
        source = self._parse(changes["url"])
        options = {"pace": source.options.pace, "loop": source.options.loop}
        url = _without_options(changes["url"])
        given = {name: value for name, value in options.items() if value is not None}
        return {**changes, "url": url, **given}

    async def _apply(self, old: StreamRecord, new: StreamRecord) -> None:
        if not new.enabled:
            await self._supervisor.stop(new.id)
        elif not old.enabled:
            await self._supervisor.start(new)
        elif not _same_work(old, new):
            await self._supervisor.update(new)

    def _on_stream(self, message: Mapping[str, Any]) -> None:
        if (message["state"], message["code"]) == (StreamState.STOPPED.value, "ended"):
            # Behind: whoever holds the stream's lock may be waiting for the process that says this.
            self._behind(self._finish(str(message["stream_id"])), f"finish {message['stream_id']}")

    async def _finish(self, stream_id: str) -> None:
        """Remembers that a file came to its end, unless it has been started anew meanwhile."""
        try:
            async with self._lock(stream_id):
                record = await self._store.get_stream(stream_id, ALL)
                status = self._supervisor.status(stream_id)
                if record is None or (status.state, status.code) != (StreamState.STOPPED, "ended"):
                    return
                _check_readable(record)
                await self._store.change_stream(replace(record, finished_at=status.since))
        except (StoreError, Conflict, NotFound) as error:
            log.error("stream %s came to its end and will be played again at the next start: %s", stream_id, error)

    def _behind(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def set_zones(self, stream_id: str, zones: tuple[Zone, ...], expected: frozenset[str] | None) -> None:
        """Stores them and tells the stream, which goes on. Raises NotFound, and Outdated for other tags."""
        async with self._lock(stream_id):
            if not await self._store.zones.put(stream_id, zones, expected):
                raise not_found("stream", stream_id)
            await self._supervisor.set_zones(stream_id, zones)

    async def restart(self, stream_id: str) -> StreamRecord:
        """A stopped stream starts again. Raises NotFound, and Conflict where the stored URL is unreadable."""
        async with self._lock(stream_id):
            record = await self.get(stream_id, ALL)
            _check_readable(record)
            if record.enabled and record.finished_at is None:
                await self._supervisor.restart(stream_id)
                return record
            record = replace(record, enabled=True, finished_at=None)
            if not await self._store.change_stream(record):
                raise not_found("stream", stream_id)
            await self._supervisor.start(record)
            return record

    async def remove(self, stream_id: str) -> None:
        """Returns within 5 s; a stream that needs longer to stop is waited for behind. Raises NotFound."""
        if not await self._store.delete_stream(stream_id):
            raise not_found("stream", stream_id)
        self._rights_changed()
        task = self._behind(self._stop(stream_id), f"stop {stream_id}")
        done, _ = await asyncio.wait({task}, timeout=STOP_S)
        if not done:
            log.warning("stream %s is deleted and takes longer than %.1f s to stop", stream_id, STOP_S)

    async def _stop(self, stream_id: str) -> None:
        try:
            async with self._lock(stream_id):
                await self._supervisor.stop(stream_id)
        except Exception:  # the task's outermost frame
            log.exception("stream %s did not stop", stream_id)
        self._hub.forget_stream(stream_id)

    def _parse(self, text: str) -> SourceUrl:
        try:
            return SourceUrl.parse(text, self._policy)
        except SourceUrlError as error:
            message = str(error)
        # Outside the handler, so that no chained exception carries the text; nor does the answer repeat it.
        expected = message.removeprefix("expected ") if message.startswith("expected ") else "another URL: " + message
        raise invalid("url", expected, "a URL that is not accepted") from None


def _same_work(old: StreamRecord, new: StreamRecord) -> bool:
    """Whether the process that runs the one may go on with the other."""
    record = old.record if bool(old.record) == bool(new.record) else new.record  # how much of it stays is no work
    return replace(new, name=old.name, groups=old.groups, record=record, record_since=old.record_since) == old


def _check_readable(record: StreamRecord) -> None:
    """Raises Conflict. Storing a record without its URL would lose what the right key could still decrypt."""
    if not record.url.get_secret_value():
        raise Conflict(_UNREADABLE_URL)


def _without_options(url: str) -> SecretStr:
    """A file's ``?pace=…&loop=…`` are kept as the stream's fields alone: in the URL they would win over a change."""
    text = url.strip()
    return SecretStr(text.partition("?")[0] if text[:5].lower() == "file:" else text)


def _path_name(url: str) -> str:
    return PurePosixPath(urlsplit(url).path).name


def default_name(source: SourceUrl) -> str:
    """→ the host, file or device that a person would call it by."""
    if source.path is not None:
        return source.path.name
    tail = _path_name(source.full)
    host = source.host or source.scheme
    return f"{host} {tail}" if tail and tail in source.redacted and len(tail) <= 40 else host
