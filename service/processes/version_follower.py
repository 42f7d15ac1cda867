"""Which version of its model a stream works with: changed between two frames, and how another one would do beside it.

The trial: of the clips that both networks judged, each one's answers go through a smoother of its own, under the same
thresholds as in earnest. What is counted is how often they agree and which events each would have told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.actions import ActionSmoother
from pipeline.entities import ActionEvent, ActionScores, EventKind, Frame, FrameResult
from pipeline.motion_voice import MotionVoice
from service.configuration import StagesConfig
from service.processes.inference_client import InferenceClient
from service.processes.version_messages import ShadowReport, UseModel
from service.stages import change_model
from service.stream import Stages
from service.versions.tally import TENTHS, ShadowTally, tenth_of

REPORT_EVERY_S = 10.0
MAX_DISAGREED = 100  # events of one report

Clock = Callable[[], float]
Counts = dict[str, list[int]]  # action → events by tenth of their highest confidence


class VersionFollower:
    """``use`` from any thread; the rest belongs to the stream's own."""

    def __init__(
        self,
        first: UseModel,
        stages: Stages,
        inference: InferenceClient,
        tell: Callable[[ShadowReport], None],
        clock: Clock = time.monotonic,
    ) -> None:
        self._clock = clock
        self._stages = stages
        self._inference = inference
        self._tell = tell
        self._wanted = self._now = first
        self._trial: Trial | None = None
        self._begin_trial(first.stages, first)

    @property
    def model(self) -> str:
        """The version that answers."""
        return self._now.stages.model

    @property
    def buffer_size(self) -> int:
        return self._now.stages.clip.length

    def use(self, change: UseModel) -> None:
        """From the next frame on."""
        self._wanted = change

    def between(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """→ the frames, with what is to change changed before one of them."""
        for frame in frames:
            wanted = self._wanted
            if wanted is not self._now:
                self._follow(wanted)
            yield frame
        self.report()

    def _follow(self, wanted: UseModel) -> None:
        before, self._now = self._now.stages, wanted
        if replace(wanted.stages, first_track_id=before.first_track_id) != before:  # each start's setup counts its own
            change_model(self._stages, wanted.stages)
            self._inference.change_networks(wanted.stages.model, wanted.stages.light_model)
        self.report()
        self._begin_trial(before, wanted)

    def _begin_trial(self, before: StagesConfig, now: UseModel) -> None:
        """``before``: whose answers may still be under way, so that boxes speak beside them."""
        tried = {} if now.shadow is None else now.shadow.motion
        self._stages.motion.heads = {**before.motion, **now.stages.motion, **tried}
        self._trial = None if now.shadow is None else Trial(now.stages, now.shadow, self._stages.motion, self._clock)

    # -- the trial

    def see(self, result: FrameResult) -> None:
        """One frame that went through all stages."""
        judged = self._inference.take_judged()
        if self._trial is not None:
            self._trial.see(result, judged)
            if self._trial.lasts_s >= REPORT_EVERY_S:
                self.report()

    def ended(self, events: Sequence[ActionEvent]) -> None:
        """Real events that ended without a frame."""
        if self._trial is not None:
            self._trial.count_told(events)

    def report(self) -> None:
        if self._trial is not None:
            self._tell(ShadowReport(self._trial.tally()))


@dataclass
class _Counted:
    """Since the last report."""

    began_s: float
    clips: int = 0
    agreed: int = 0
    champion: Counts = field(default_factory=dict)
    challenger: Counts = field(default_factory=dict)
    told: Counts = field(default_factory=dict)
    disagreed: dict[str, None] = field(default_factory=dict)


class Trial:
    """Two smoothers over the clips that both versions judged; ``motion`` speaks beside either as it does in earnest."""

    def __init__(
        self, champion: StagesConfig, challenger: StagesConfig, motion: MotionVoice, clock: Clock = time.monotonic
    ) -> None:
        self._clock = clock
        self._version = challenger.model
        self._champion = ActionSmoother(champion.smoother)
        self._challenger = ActionSmoother(challenger.smoother)
        self._motion = motion
        self._open: dict[int, dict[str, None]] = {}  # track → its real events that go on
        self._counted = _Counted(clock())

    @property
    def lasts_s(self) -> float:
        """Since the last report."""
        return self._clock() - self._counted.began_s

    def see(self, result: FrameResult, judged: Sequence[tuple[ActionScores, ActionScores]]) -> None:
        self.count_told(result.events)
        champion = self._motion.beside(told for told, _ in judged)
        challenger = self._motion.beside(tried for _, tried in judged)
        for one, other in zip(champion, challenger, strict=True):
            self._compare(one, other)
        frame = result.frame
        for smoother, scores, counts in (
            (self._champion, champion, self._counted.champion),
            (self._challenger, challenger, self._counted.challenger),
        ):
            _count(counts, smoother.update(scores, result.tracks, frame.time_s, frame.captured_at))

    def _compare(self, one: ActionScores, other: ActionScores) -> None:
        agree = _first(one) == _first(other)
        self._counted.clips += 1
        self._counted.agreed += agree
        if not agree:
            room = MAX_DISAGREED - len(self._counted.disagreed)
            self._counted.disagreed.update(dict.fromkeys(list(self._open.get(one.track_id, ()))[: max(0, room)]))

    def count_told(self, events: Sequence[ActionEvent]) -> None:
        _count(self._counted.told, events)
        for event in events:
            going_on = self._open.setdefault(event.track_id, {})
            if event.kind is EventKind.ENDED:
                going_on.pop(event.event_id, None)
            else:
                going_on[event.event_id] = None
            if not going_on:
                del self._open[event.track_id]

    def tally(self) -> ShadowTally:
        """→ what was counted since the last time; counting begins anew."""
        lasted_s, done, self._counted = self.lasts_s, self._counted, _Counted(self._clock())
        return ShadowTally(
            self._version,
            lasted_s,
            done.clips,
            done.agreed,
            _plain(done.champion),
            _plain(done.challenger),
            _plain(done.told),
            tuple(done.disagreed),
        )


def _first(scores: ActionScores) -> str:
    return scores.labels[int(np.argmax(scores.probabilities))]


def _count(counts: Counts, events: Sequence[ActionEvent]) -> None:
    """An event that ended tells the highest confidence that it reached."""
    for event in events:
        if event.kind is EventKind.ENDED:
            counts.setdefault(event.action, [0] * TENTHS)[tenth_of(event.confidence)] += 1


def _plain(counts: Counts) -> dict[str, tuple[int, ...]]:
    return {action: tuple(tenths) for action, tenths in counts.items()}
