"""One own stream's clips at another node: offered there, sent when they are asked for, answers handed to the stream.

Two threads: one makes the connection and hears, one sends, so that the stream's own thread never waits for a network.
Whatever goes wrong ends the loan; the stream then goes on with what its own machine gives.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.entities import Image
from service.budget.plan import StreamLoad
from service.counters import Measures
from service.engine import Pictures
from service.processes.connection import Connection, try_send
from service.processes.inference_messages import (
    ClipOffer,
    ClipWanted,
    Hello,
    LoadReport,
    ModelProblem,
    NoClip,
    ScoresAnswer,
    ShadowAnswer,
    TrackGone,
    Welcome,
)
from service.processes.lending.clip_jpeg import pack_clip
from service.processes.lending.credit import FETCH_S
from service.processes.lending.door import enter
from service.processes.lending.loan_messages import LentClip, LoanTerms
from service.processes.messages import MessageChannel, UnexpectedMessage, unexpected
from service.processes.nodes import Lender

log = logging.getLogger(__name__)

REPORT_S = 1.0
SILENT_S = 4.0  # a lender answers each report
GIVE_UP_S = 6.0  # so long the answer to a clip may take: a lender asks for those whose turn is near
MAX_WAITING = 8  # clips that were asked for and are not sent yet, of 9.6 MB each where they are large
NICENESS = 10  # of the thread that packs and sends
SHADOW_BASE = 1 << 40  # a lender's numbers of shadow answers come behind those that this machine gives


class LoanOver(ConnectionError):
    """The lender does not classify the stream's clips, or is gone; the message says why."""


@dataclass(frozen=True, slots=True)
class Borrowed:
    """What is borrowed for: the stream, its network and what that has to say.

    ``tried``: which network is tried on these clips, "": none. ``labelled_s``: track → when its last label of another
    node came, or its first offer; by the monotonic clock.
    """

    connection: Connection
    stream: str  # node/stream
    model: str
    labels: tuple[str, ...]
    tried: Callable[[], str] = lambda: ""
    labelled_s: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A clip that the lender asked for. ``request``: of the stream; times by the monotonic clock, ``asked_s`` that of
    its sending from there on.
    """

    request: int
    offered_s: float
    asked_s: float


@dataclass(frozen=True, slots=True, eq=False)
class _Given:
    """A clip on its way to the lender."""

    track_id: int
    pictures: Pictures


class Loan:
    """``offer``, ``take``, ``gone`` and ``observe`` from any thread; none waits. ``over``: why it has ended, "" before.

    ``on_over``: called once, with offers that the lender has not asked for: track → gain.
    """

    def __init__(
        self,
        borrowed: Borrowed,
        lender: Lender,
        token: str,
        measures: Measures,
        on_over: Callable[[Loan, dict[int, float]], None],
    ) -> None:
        self.borrowed = borrowed
        self.lender = lender
        self._token = token
        self._measures = measures
        self._on_over = on_over
        self._condition = threading.Condition()
        self._channel: MessageChannel | None = None
        self.terms: LoanTerms | None = None
        self.over = ""
        self.opened_s = self._heard_s = time.monotonic()
        self._load = StreamLoad(0.0, 0.0)
        self._offered: dict[int, tuple[float, float]] = {}  # track → since when the lender may ask for it, gain
        self._untold: set[int] = set()  # of those, the ones that were not sent yet
        self._asked: dict[int, _Asked] = {}  # clips that the stream is asked for
        self._sent: dict[int, _Asked] = {}  # clips that the lender has, or will have
        self._outgoing: deque[_Given | NoClip | TrackGone] = deque()
        self._scene: tuple[Image, ...] = ()  # of the last clip sent with a box; sending thread only

    def open(self) -> None:
        threading.Thread(target=self._run, name=f"loan-{self.borrowed.connection.number}", daemon=True).start()

    @property
    def granted(self) -> bool:
        return not self.over and self.terms is not None

    # -- the stream's side

    def offer(self, track_id: int, gain: float) -> bool:
        """→ whether the lender is told of it."""
        now = time.monotonic()
        with self._condition:
            if not self.granted:
                return False
            self.borrowed.labelled_s.setdefault(track_id, now)
            self._offered[track_id] = (now, gain)
            self._untold.add(track_id)
            self._condition.notify()
            return True

    def take(self, track_id: int, clip: tuple[str, Pictures] | None) -> bool:
        """What the stream gave when it was asked, network and pictures → whether it was for this loan."""
        with self._condition:
            asked = self._asked.pop(track_id, None)
            if asked is None or self.over:
                return False
            mine = self.borrowed.connection.newest(track_id) == asked.request
            fits = clip is None or clip[0] == self.borrowed.model
            if mine and fits and clip is not None and self._has_room():
                self._sent[track_id] = asked
                self._outgoing.append(_Given(track_id, clip[1]))
            else:
                self._outgoing.append(NoClip(track_id))
            self._condition.notify()
            return mine and fits

    def _has_room(self) -> bool:
        full = sum(isinstance(each, _Given) for each in self._outgoing) >= MAX_WAITING
        self._count("room", full)
        return not full

    def gone(self, track_id: int) -> None:
        with self._condition:
            self._offered.pop(track_id, None)
            self._asked.pop(track_id, None)
            self._sent.pop(track_id, None)
            if self.granted:
                self._outgoing.append(TrackGone(track_id))
                self._condition.notify()

    def observe(self, load: StreamLoad) -> None:
        """Its pictures are nobody's work there: people alone count."""
        self._load = StreamLoad(0.0, load.people, load.settled)

    def close(self, why: str) -> None:
        """The first reason counts."""
        with self._condition:
            if self.over:
                return
            self.over, channel = why, self._channel
            lost, left = len(self._sent), {track_id: gain for track_id, (_, gain) in self._offered.items()}
            for kept in (self._asked, self._sent, self._offered, self._outgoing):
                kept.clear()
            self._condition.notify_all()
        self._count("lost", lost)
        if channel is not None:
            channel.close()
        self._on_over(self, left)

    # -- the thread that hears

    def _run(self) -> None:
        try:
            channel = MessageChannel(enter(self.lender.address, self._token))
            with self._condition:
                self._channel = channel
                if self.over:
                    channel.close()
            channel.send(Hello(self.borrowed.stream, self.borrowed.model))
            self._heard_s = time.monotonic()
            while True:
                self._handle(channel, channel.receive())
        except (OSError, UnexpectedMessage, ValueError) as error:
            self.close(str(error) or type(error).__name__)
        except Exception as error:  # the thread's outermost frame
            log.exception("a loan at %s failed", self.lender.name)
            self.close(type(error).__name__)

    def _handle(self, channel: MessageChannel, message: object) -> None:
        """Raises LoanOver."""
        match message:
            case Welcome():
                if message.labels != self.borrowed.labels:
                    raise LoanOver(f"its {self.borrowed.model} has other labels than ours")
                self._heard_s = time.monotonic()
                threading.Thread(target=self._send_forever, args=(channel,), name="loan-sends", daemon=True).start()
            case LoanTerms():
                if not message.granted:
                    raise LoanOver(message.reason or "no room")
                self.terms, self._heard_s = message, time.monotonic()
            case ClipWanted():
                self._ask(message.track_id)
            case ScoresAnswer():
                self._answer(message)
            case ShadowAnswer():
                self._answer_of_trial(message)
            case NoClip():
                self._too_late(message.track_id)
            case ModelProblem():
                raise LoanOver(message.reason)
            case _:
                raise unexpected(message, "a node that borrows")

    def _ask(self, track_id: int) -> None:
        """The stream's answer comes by ``take``."""
        connection = self.borrowed.connection
        with self._condition:
            under_way = track_id in self._asked or track_id in self._sent  # its answer would be taken for the newer's
            offered = None if under_way else self._offered.pop(track_id, None)
            if offered is None:
                self._outgoing.append(NoClip(track_id))
                self._condition.notify()
                return
            self._asked[track_id] = _Asked(connection.next_request(track_id), offered[0], time.monotonic())
        try_send(connection, ClipWanted(track_id))

    def _too_late(self, track_id: int) -> None:
        """The lender waited for the clip no longer."""
        with self._condition:
            lost = self._sent.pop(track_id, None) is not None
        self._count("late", lost)

    def _answer(self, answer: ScoresAnswer) -> None:
        """Raises LoanOver for what is no answer of the network."""
        numbers, expected = answer.probabilities, len(self.borrowed.labels)
        if numbers.shape != (expected,) or not np.isfinite(numbers).all():
            raise LoanOver(f"expected {expected} probabilities, got {numbers.shape}")
        now = time.monotonic()
        with self._condition:
            asked = self._sent.pop(answer.track_id, None)
            if asked is None or self.borrowed.connection.newest(answer.track_id) != asked.request:
                self._count("outdated", 1)  # its clip was given up, or a newer one was asked for meanwhile
                return
            self.borrowed.labelled_s[answer.track_id] = now
        self._measures.count("borrowed_clips_total")
        self._measures.observe("borrowed_delay", now - asked.offered_s)
        shadow = SHADOW_BASE + answer.shadow if answer.shadow > 0 else 0
        try_send(self.borrowed.connection, ScoresAnswer(answer.track_id, numbers, shadow))

    def _answer_of_trial(self, answer: ShadowAnswer) -> None:
        """Of the version that is tried here as well, else nobody's: a lender may have heard of a change before us.

        Raises LoanOver for what is no answer of a network.
        """
        numbers = answer.probabilities
        if numbers.shape != (len(answer.labels),) or not np.isfinite(numbers).all():
            raise LoanOver(f"expected {len(answer.labels)} probabilities of {answer.model[:80]}, got {numbers.shape}")
        if answer.model == self.borrowed.tried():
            self._measures.count("borrowed_shadow_clips_total")
            try_send(self.borrowed.connection, replace(answer, shadow=SHADOW_BASE + answer.shadow))

    # -- the thread that sends

    def _send_forever(self, channel: MessageChannel) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        reported_s = 0.0
        try:
            while not self.over:
                if time.monotonic() - reported_s >= REPORT_S:
                    reported_s = time.monotonic()
                    self._look(reported_s)
                    channel.send(LoadReport(self._load))
                for message in self._due():
                    channel.send(self._packed(message) if isinstance(message, _Given) else message)
                    self._has_left(message)
        except (OSError, ValueError) as error:
            self.close(str(error))
        except Exception as error:  # the thread's outermost frame
            log.exception("a loan at %s failed", self.lender.name)
            self.close(type(error).__name__)

    def _look(self, now: float) -> None:
        """Raises LoanOver."""
        if now - self._heard_s > SILENT_S:
            raise LoanOver(f"it was silent for {SILENT_S:g} s")
        with self._condition:
            oldest_s = min((each.asked_s for each in self._sent.values()), default=now)
        if now - oldest_s > GIVE_UP_S:
            raise LoanOver(f"it did not answer for a clip within {GIVE_UP_S:g} s")

    def _due(self) -> list[ClipOffer | _Given | NoClip | TrackGone]:
        """Waits for something to send → offers, and the first of all else."""
        with self._condition:
            if not (self._untold or self._outgoing):
                self._condition.wait(REPORT_S / 4)
            offers = [self._told(track_id) for track_id in self._untold & self._offered.keys()]
            self._untold.clear()
            return [*offers, self._in_time(self._outgoing.popleft())] if self._outgoing else [*offers]

    def _in_time(self, message: _Given | NoClip | TrackGone) -> _Given | NoClip | TrackGone:
        """A clip that waited behind others until nobody waits for it any more is not sent."""
        asked = self._sent.get(message.track_id) if isinstance(message, _Given) else None
        if asked is None or time.monotonic() - asked.asked_s < FETCH_S:
            return message
        del self._sent[message.track_id]
        self._count("late", 1)
        return NoClip(message.track_id)

    def _has_left(self, message: object) -> None:
        """From now on its answer may take GIVE_UP_S."""
        with self._condition:
            if isinstance(message, _Given) and message.track_id in self._sent:
                self._sent[message.track_id] = replace(self._sent[message.track_id], asked_s=time.monotonic())

    def _told(self, track_id: int) -> ClipOffer:
        now, (_, gain) = time.monotonic(), self._offered[track_id]
        age_s = max(0.0, now - self.borrowed.labelled_s.get(track_id, now))
        return ClipOffer(track_id, self.borrowed.model, gain, age_s)

    def _packed(self, given: _Given) -> LentClip:
        """A scene's pictures cross once for all people who are asked for with them in turn."""
        pictures = given.pictures
        order: tuple[int, ...] = ()
        jpeg = np.zeros(0, np.uint8)
        if pictures.box is None or pictures.crops is not self._scene:
            with self._measures.timed("lent_encode"):
                order, jpeg = pack_clip(pictures.crops)
        if pictures.box is not None:
            self._scene = pictures.crops
        self._measures.count("borrowed_bytes_total", jpeg.nbytes)
        model, first, provisional = self.borrowed.model, pictures.first_sample, pictures.provisional
        return LentClip(given.track_id, model, first, provisional, order, jpeg, pictures.box)

    def _count(self, cause: str, count: int) -> None:
        if count:
            self._measures.count(f"borrowed_clips_dropped_total:{cause}", count)
