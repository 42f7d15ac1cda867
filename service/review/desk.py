"""What people say of events: checked, written down with all that a training needs of it, its clip asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from service.catalogue import Catalogue
from service.errors_base import InvalidRequest, Wrong, invalid, shown
from service.ids import new_id
from service.recording.reconcile import Recordings
from service.review.folder import CorrectionFolder
from service.review.footage import FootageFinder
from service.review.keeper import MOST_WAITING, ClipKeeper, Sources
from service.review.networks import labels_of
from service.rights import ALL, Principal
from service.settings import Settings
from service.storage.database import Database
from service.storage.records import EventRecord
from service.storage.review.events import EventStore, reviewer
from service.storage.review.near import USUAL, Special, Thresholds
from service.storage.review.records import RIGHT, WRONG, VerdictRecord
from service.storage.review.timeline import TimelineStore
from service.storage.review.verdicts import MISSING, PENDING, VerdictStore
from service.storage.store import Store

_BESIDE_S = 60.0  # how far a start or end may be moved beyond the event's


@dataclass(frozen=True, slots=True)
class Judgement:
    """What somebody says of an event. Media times; None: as the event says."""

    verdict: str
    label: str | None = None
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True)
class Review:
    """Everything about reviewing that lives as long as the process."""

    store: Store
    catalogue: Catalogue
    events: EventStore
    verdicts: VerdictStore
    timeline: TimelineStore
    keeper: ClipKeeper
    clock: Callable[[], float] = time.time

    @classmethod
    def over(
        cls, settings: Settings, store: Store, database: Database, catalogue: Catalogue, recordings: Recordings
    ) -> Review:
        verdicts = VerdictStore(database)
        footage = FootageFinder(store, recordings, settings.segment_s)
        sources = Sources(footage, catalogue, settings.extras_min_free_bytes)
        keeper = ClipKeeper(CorrectionFolder(settings.corrections_dir), verdicts, sources)
        return cls(store, catalogue, EventStore(database), verdicts, TimelineStore(database), keeper)

    async def open(self) -> None:
        await self.keeper.open()

    async def close(self) -> None:
        await self.keeper.close()

    async def judge(self, event: EventRecord, said: Judgement, who: Principal) -> VerdictRecord:
        """→ the verdict that stands now. Raises InvalidRequest."""
        label = await self._label(event, said)
        stands = await self.verdicts.put(await self._record(event, said, label, who))
        await self.keeper.followed(event.id)
        self.keeper.ring()
        return stands

    async def _record(self, event: EventRecord, said: Judgement, label: str | None, who: Principal) -> VerdictRecord:
        start_s, end_s = _span(event, said)
        stream = await self.store.get_stream(event.stream_id, ALL)
        incident = await self.verdicts.incident_of(event)
        clip, reason = await self._clip(label)
        return VerdictRecord(
            id=new_id("ver"),
            event_id=event.id,
            version=1,
            superseded_by=None,
            stream_id=event.stream_id,
            stream_name=event.stream_id if stream is None else stream.name,
            track_id=event.track_id,
            verdict=said.verdict,
            label=label,
            said=event.action,
            start_s=start_s,
            end_s=end_s,
            started_at=event.started_at,
            ended_at=event.updated_at,
            by_id=reviewer(who),
            by=who.name,
            at=self.clock(),
            model=event.model,
            split="audit" if event.audit else "train",
            near_threshold=(await self.thresholds()).near(event),
            group=f"{event.stream_id}/{incident or event.id}",
            clip=clip,
            clip_reason=reason,
        )

    async def _label(self, event: EventRecord, said: Judgement) -> str | None:
        if said.verdict != WRONG:
            if said.label not in (None, event.action if said.verdict == RIGHT else None):
                raise invalid("label", f"none with the verdict {said.verdict}", said.label)
            return event.action if said.verdict == RIGHT else None
        known = labels_of(event.model, await self.catalogue.cards())
        others = [label for label in known if label != event.action]
        if said.label not in others:
            raise invalid("label", f"what it was instead, one of {', '.join(others) or 'none'}", said.label)
        return said.label

    async def _clip(self, label: str | None) -> tuple[str, str]:
        if label is None:
            return MISSING, "nobody knows what it was"
        if await self.verdicts.waiting() >= MOST_WAITING:
            return MISSING, f"{MOST_WAITING} others wait for their clip"
        return PENDING, ""

    async def thresholds(self) -> Thresholds:
        """→ what it took for labels to become events: on their stream, else by their network's card."""
        streams = await self.store.all_streams(ALL)
        of_streams = [Special(name, on, each.id) for each in streams for name, on in (each.actions or {}).items()]
        cards = await self.catalogue.cards()
        of_cards = [
            Special(name, it.on, model=key) for key, card in cards.items() for name, it in card.evidence.items()
        ]
        named = {each.action for each in of_cards}
        own = [each for each in of_streams if each.threshold != USUAL or each.action in named]
        return Thresholds((*own, *of_cards))


def _span(event: EventRecord, said: Judgement) -> tuple[float, float]:
    """→ media times of the start and the end. Raises InvalidRequest."""
    ended_s = event.start_s + max(0.0, event.updated_at - event.started_at) if event.end_s is None else event.end_s
    start_s = event.start_s if said.start_s is None else said.start_s
    end_s = max(ended_s, start_s) if said.end_s is None else said.end_s
    first_s, last_s = event.start_s - _BESIDE_S, ended_s + _BESIDE_S
    wrong = [
        Wrong(name, f"media time from {first_s:.3f} to {last_s:.3f}", shown(value))
        for name, value in (("start_s", start_s), ("end_s", end_s))
        if not first_s <= value <= last_s
    ]
    if not wrong and end_s < start_s:
        wrong = [Wrong("end_s", f"a time from {start_s:.3f} (the start) on", shown(end_s))]
    if wrong:
        raise InvalidRequest(wrong)
    return start_s, end_s
