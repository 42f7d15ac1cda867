"""Has running streams go on with another version of their model, and has versions tried beside it.

What serves is said by the pointer's file alone (``versions.pointer``). A process that is started reads it then; those
that run are told here.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterable

from models.errors import CardError
from models.weights.cards import ModelCard, light_card, read_card
from service.configuration import StagesConfig
from service.processes.inference_runner import InferenceRunner
from service.processes.stream_runner import StreamRunner
from service.processes.version_messages import UseModel
from service.settings import Settings
from service.storage.records import StreamRecord
from service.stream_state import StreamState
from service.supervisor_protocol import OnTally
from service.versions.pointer import Pointers
from service.versions.tally import ShadowTally

log = logging.getLogger(__name__)

FOLLOW_S = 3.0  # a stream follows with its next frame; one whose camera is away does so later
POLL_S = 0.02
DEATHS = 3  # processes in a row that ended while they loaded, without a word: their version is to blame

Streams = Callable[[], Iterable[tuple[StreamRecord, StreamRunner]]]
Stages = Callable[[StreamRecord, str], StagesConfig]


class ModelSwitch:
    """Implements ``supervisor_protocol.Models``. On the API's event loop. ``stages``: a stream's, for a version."""

    def __init__(self, settings: Settings, inference: InferenceRunner, streams: Streams, stages: Stages) -> None:
        self._weights_dir = settings.weights_dir
        self._pointers = Pointers.of(settings)
        self._inference = inference
        self._streams = streams
        self._stages = stages
        self.on_shadow_failed: Callable[[str, str], None] = lambda alias, reason: None
        self.on_tally: OnTally = _nobody
        self.on_broken: Callable[[str, str], None] = lambda version, reason: None
        self._default = settings.model
        self._deaths = ("", 0)  # of processes that loaded this version, in a row
        self._proven = ""  # the version with which a process became ready last
        inference.on_shadow_failed = self._shadow_failed
        inference.on_failed = self._failed
        inference.on_ready = self._ready
        inference.on_early_end = self._died
        inference.on_stuck = self._stuck

    async def load(self, alias: str, version: str) -> None:
        """Loads a version's networks beside those that serve. Raises NetworksUnavailable, CardError."""
        serving, wanted = await asyncio.to_thread(self._networks, alias, version)
        await self._inference.load(serving, wanted)

    async def make_way(self) -> None:
        """Nothing is loaded any more that nobody waits for; see ``InferenceRunner.make_way``."""
        await self._inference.make_way()

    async def follow(self, alias: str) -> float:
        """Streams of this model go on with what serves now → how long the last one took, seconds."""
        begin = time.monotonic()
        await self._begin_anew()
        told = [each for each in self._streams() if each[0].model == alias]
        changes = await asyncio.to_thread(lambda: [self.of_stream(record) for record, _ in told])
        for (_, runner), change in zip(told, changes, strict=True):
            runner.use_model(change)
        await self._followed([runner for _, runner in told], changes[0].stages.model if changes else "")
        took_s = time.monotonic() - begin
        self._inference.try_beside(await asyncio.to_thread(self.pairs))
        return took_s

    async def _begin_anew(self) -> None:
        """A process that still loads what serves no more may do so for ever."""
        serving = await asyncio.to_thread(self._pointers.serving, self._default)
        if not self._inference.ready.is_set() and self._inference.model != serving:
            self._inference.start_anew()

    async def _followed(self, runners: list[StreamRunner], version: str) -> None:
        deadline = time.monotonic() + FOLLOW_S
        while any(_lags(runner, version) for runner in runners) and time.monotonic() < deadline:
            await asyncio.sleep(POLL_S)

    def of_stream(self, record: StreamRecord) -> UseModel:
        """→ what a stream works with: the version that serves, and the one that is tried."""
        shadow = self._pointers.shadows().get(record.model)
        tried = None if shadow is None else self._stages(record, shadow)
        return UseModel(self._stages(record, self._pointers.serving(record.model)), tried)

    def pairs(self) -> dict[str, str]:
        """→ networks that are tried, by the name of the one whose clips they see as well."""
        pairs: dict[str, str] = {}
        for alias, shadow in self._pointers.shadows().items():
            try:
                pairs |= _paired(self._card(self._pointers.serving(alias)), self._card(shadow))
            except CardError as error:
                log.error("%s is not tried: %s", shadow, error)
        return pairs

    def _networks(self, alias: str, version: str) -> tuple[tuple[str, str], tuple[str, str]]:
        return self._names(self._pointers.serving(alias)), _tiers(self._card(version))

    def _card(self, version: str) -> ModelCard:
        return read_card(self._weights_dir / version)

    def _failed(self, reason: str) -> None:
        """The inference process ended before it was ready: by the version that serves, or by something else."""
        version = self._pointers.serving(self._default)
        if any(name and self._is_about(name, reason) for name in self._names(version)):
            self.on_broken(version, reason)

    def _is_about(self, name: str, reason: str) -> bool:
        """Whether an error names a network: by itself, or by a path in its folder."""
        folder = re.escape(str(self._weights_dir.resolve() / name))
        return repr(name) in reason or re.search(rf"{folder}(?!\.?[\w@-])", reason) is not None

    def _ready(self, version: str) -> None:
        self._proven, self._deaths = version, ("", 0)

    def _died(self, version: str, reason: str) -> None:
        """A process that was killed, or ended otherwise, says nothing. One that was promoted and never came up is to
        blame; what served before is not: the machine is more likely then.
        """
        if not self._is_new(version):
            return
        before, count = self._deaths
        self._deaths = version, 1 + (count if before == version else 0)
        if self._deaths[1] >= DEATHS:
            self.on_broken(version, f"{reason}, {self._deaths[1]} times in a row")

    def _stuck(self, version: str, what: str, reason: str) -> bool:
        """→ whether a version is to blame that a process goes on loading ``what``, and another one takes its place."""
        replaced = self._is_new(version) and self._pointers.read(self._default).before() is not None
        blamed = replaced and what in [f"model {name}" for name in self._names(version) if name]
        if blamed:
            self.on_broken(version, reason)
        return blamed

    def _is_new(self, version: str) -> bool:
        """Whether it was promoted and no process became ready with it yet."""
        change = self._pointers.read(self._default).newest()
        promoted = change is not None and (change.what, change.version) == ("promoted", version)
        return promoted and version != self._proven

    def _shadow_failed(self, network: str, reason: str) -> None:
        for alias, version in self._pointers.shadows().items():
            if network in self._names(version):
                self.on_shadow_failed(alias, reason)

    def _names(self, version: str) -> tuple[str, str]:
        """→ its networks, as far as its card can be read."""
        try:
            return _tiers(self._card(version))
        except CardError:
            return version, ""


async def _nobody(stream_id: str, tally: ShadowTally) -> None:
    """Who hears of trials until somebody is there."""


def _lags(runner: StreamRunner, version: str) -> bool:
    """Whether a stream that runs still works with another version."""
    stats = runner.view.stats
    return runner.view.state is StreamState.RUNNING and stats is not None and stats.model != version


def _tiers(card: ModelCard) -> tuple[str, str]:
    light = light_card(card)
    return card.folder.name, "" if light is None else light.folder.name


def _paired(champion: ModelCard, challenger: ModelCard) -> dict[str, str]:
    """→ networks that can see the same clips, tier by tier."""
    pairs = [(champion, challenger), (light_card(champion), light_card(challenger))]
    return {
        one.folder.name: other.folder.name
        for one, other in pairs
        if one is not None and other is not None and one.input == other.input
    }
