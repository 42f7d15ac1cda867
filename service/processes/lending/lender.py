"""Classifies clips of other nodes' streams: each is a connection like that of an own stream, but for its pixels, which
come as JPEG and before their turn (``credit``), and for how much it may ask (``room``).
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import PurePath

import numpy as np

from pipeline.entities import Image
from service.budget.budget import FULL_S, clip_work
from service.budget.plan import StreamLoad
from service.engine import InferenceEngine, ModelUnavailable, Pictures
from service.processes.connection import Connection
from service.processes.inference_messages import (
    ClipOffer,
    ClipWanted,
    Hello,
    LoadReport,
    ModelProblem,
    NoClip,
    ScoresAnswer,
    TrackGone,
    Welcome,
)
from service.processes.ipc import ChannelClosed
from service.processes.lending.clip_jpeg import unpack_clip
from service.processes.lending.credit import WINDOW, Credit
from service.processes.lending.loan_messages import LentClip, LoanTerms
from service.processes.lending.room import Room
from service.processes.messages import MessageChannel, UnexpectedMessage, unexpected
from service.processes.scheduler import ClipScheduler, Key

log = logging.getLogger(__name__)

MAX_TRACKS = 64  # of one stream
MAX_GAIN = 100.0
MAX_AGE_S = 60.0  # so much a newcomer may have waited elsewhere
AHEAD_S = 1.0
SILENT_S = 8.0  # a borrower says something each second; one that was stopped has its room given to others
NICENESS = 10  # as the classifying thread: detection keeps the cameras' pace


class LentConnection(Connection):
    """One stream of another node. Whoever classifies finds its clips here already. ``judged`` hears of the answers."""

    def __init__(self, number: int, channel: MessageChannel, judged: Callable[[Key], None]) -> None:
        super().__init__(number, channel)
        self.model = ""
        self.clip_shape: tuple[int, ...] = ()
        self.scene: tuple[Image, ...] = ()
        self.offered: dict[int, tuple[float, float]] = {}  # track → since when it has waited, and its gain
        self.heard_s = time.monotonic()  # infinite while something is done for it
        self._judged = judged
        self._ready_lock = threading.Lock()
        self._ready: dict[int, Pictures] = {}

    def ask(self, track_id: int) -> None:
        """Nothing: it is here."""

    def want(self, track_id: int) -> None:
        """Asks the other node for its pixels. Raises ChannelClosed."""
        self.channel.send(ClipWanted(track_id))

    def keep(self, track_id: int, pictures: Pictures) -> None:
        with self._ready_lock:
            self._ready[track_id] = pictures

    def answer(self, track_id: int, deadline: float) -> tuple[str, Pictures] | None:
        pictures = self._pop(track_id)
        return None if pictures is None else (self.model, pictures)

    def give(self, scores: ScoresAnswer) -> None:
        """Only then may the track's next clip be asked for: answers have no number, each is that of the last clip."""
        super().give(scores)
        self._judged((self.number, scores.track_id))

    def drop(self, track_id: int) -> None:
        self._pop(track_id)
        self.offered.pop(track_id, None)

    def _pop(self, track_id: int) -> Pictures | None:
        with self._ready_lock:
            return self._ready.pop(track_id, None)


class Lending:
    """``handle`` has a thread for each connection. ``spare``: what own streams leave (``Room``)."""

    def __init__(
        self,
        engine: InferenceEngine,
        scheduler: ClipScheduler,
        spare: Callable[[], float | None],
        connections: dict[int, Connection],
    ) -> None:
        self._engine = engine
        self._measures = engine.measures
        self._scheduler = scheduler
        self._connections = connections
        self._credit = Credit()
        self._room = Room(spare, self._clip_s)
        self.asked: Callable[[], set[str]] = self.networks  # networks in use; with own streams', where there are some
        self._lent: set[str] = set()  # networks that were kept for other nodes

    def _clip_s(self, model: str) -> float:
        cost = self._engine.costs.of(clip_work(model))
        return FULL_S if cost is None else cost.wall_s

    def _window(self) -> int:
        """→ how many clips to have here or under way: work for AHEAD_S."""
        slowest_s = max((self._clip_s(model) for model in self.networks()), default=0.0)
        return WINDOW if slowest_s * WINDOW <= AHEAD_S else max(2, int(AHEAD_S / slowest_s))

    def connect(self, number: int, channel: MessageChannel) -> LentConnection:
        """On the connection's own thread."""
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        return LentConnection(number, channel, self._judged)

    def networks(self) -> set[str]:
        """→ those that other nodes' streams ask."""
        lent = [each for each in list(self._connections.values()) if isinstance(each, LentConnection)]
        return {each.model for each in lent} - {""}

    def end_silent(self) -> None:
        """Ends the connections of nodes that were stopped, whose machines answer for them: their room is others'."""
        now = time.monotonic()
        for each in list(self._connections.values()):
            if isinstance(each, LentConnection) and now - each.heard_s > SILENT_S and not each.channel.closed:
                log.warning("%s was silent for %g s, its clips are classified no more", each.stream_id, SILENT_S)
                self._measures.count("loans_silent_total")
                each.channel.close()

    def measure(self) -> None:
        self._measures.gauge("loans_given", len(self._room))
        self._measures.gauge("lent_clips_waiting", self._credit.waiting)
        self._measures.set_counter("lent_clips_dropped_total:late", self._credit.lost)

    # -- what the other node says

    def handle(self, connection: Connection, message: object) -> None:
        """Raises UnexpectedMessage for what does not belong here, ChannelClosed where the loan ends."""
        if not isinstance(connection, LentConnection):
            raise TypeError(f"expected a connection of another node, got {connection!r}")
        connection.heard_s = math.inf  # a network may take long to load
        try:
            self._understand(connection, message)
        finally:
            connection.heard_s = time.monotonic()
        self._fetch()

    def _understand(self, connection: LentConnection, message: object) -> None:
        match message:
            case Hello():
                self._welcome(connection, message)
            case LoadReport():
                connection.channel.send(self._terms(connection, message.load))
            case ClipOffer():
                self._offer(connection, message)
            case LentClip():
                self._take(connection, message)
            case NoClip():
                self._credit.none((connection.number, message.track_id))
            case TrackGone():
                self._forget(connection, message.track_id)
            case _:
                raise unexpected(message, "a node that lends")

    def _welcome(self, connection: LentConnection, hello: Hello) -> None:
        """Raises ChannelClosed where the network is not to be had."""
        if connection.model:
            raise UnexpectedMessage("a second greeting")
        connection.stream_id = hello.stream_id[:200]
        try:
            if PurePath(hello.model).name != hello.model or hello.model in ("", ".."):
                raise ModelUnavailable(f"expected a network's name, got {hello.model[:80]!r}")
            if not (self._engine.loaded(hello.model) or self._room.open):
                raise ModelUnavailable("its own cameras have the lighter network")
            classifier = self._engine.classifier(hello.model)
            self._engine.measure_clip(hello.model)  # else nobody knows whether there is room
        except (ModelUnavailable, ValueError, RuntimeError) as error:
            connection.channel.send(ModelProblem(str(error)))
            raise ChannelClosed(str(error)) from error
        connection.model, connection.clip_shape = hello.model, tuple(classifier.clip_shape)
        self._lent.add(hello.model)
        self._engine.keep((hello.model,))  # no other network's room is made of it
        connection.channel.send(Welcome(tuple(classifier.labels), (hello.model,)))
        log.info("clips of %s may be classified here, model %s", connection.stream_id, hello.model)

    def _terms(self, connection: LentConnection, load: StreamLoad) -> LoanTerms:
        if not connection.model:
            raise UnexpectedMessage("a load before a greeting")
        if not self._engine.loaded(connection.model):
            return LoanTerms(False, reason=f"{connection.model} is not loaded any more")
        self._credit.window = self._window()
        return self._room.terms(connection.number, connection.model, load)

    def _offer(self, connection: LentConnection, offer: ClipOffer) -> None:
        if offer.model != connection.model or not connection.model:
            raise UnexpectedMessage(f"an offer for {offer.model[:80]!r}, expected {connection.model!r}")
        if not (0 < offer.gain <= MAX_GAIN and 0 <= offer.age_s < math.inf):
            raise UnexpectedMessage(f"an offer of gain {offer.gain} and age {offer.age_s} s")
        track_id, age_s = offer.track_id, min(offer.age_s, MAX_AGE_S)
        if track_id not in connection.offered and len(connection.offered) >= MAX_TRACKS:
            self._measures.count("lent_clips_dropped_total:tracks")
            return
        since_s, _ = connection.offered.get(track_id, (time.monotonic() - age_s, 0.0))
        connection.offered[track_id] = (since_s, offer.gain)
        self._credit.offer((connection.number, track_id), offer.model, offer.gain, age_s)

    def _take(self, connection: LentConnection, clip: LentClip) -> None:
        """Raises UnexpectedMessage for pictures that are not such as the network sees."""
        key = (connection.number, clip.track_id)
        self._measures.count("lent_bytes_total", clip.jpeg.nbytes)
        pictures = self._pictures(connection, clip)
        if not self._credit.came(key):
            self._measures.count("lent_clips_dropped_total:unasked")
            connection.channel.send(NoClip(clip.track_id))  # nobody is to wait for its answer
            return
        connection.keep(clip.track_id, pictures)
        since_s, gain = connection.offered.get(clip.track_id, (time.monotonic(), 1.0))
        self._measures.count("lent_clips_total")
        self._scheduler.offer(key, connection.model, gain, time.monotonic() - since_s)

    def _pictures(self, connection: LentConnection, clip: LentClip) -> Pictures:
        if clip.model != connection.model or not connection.model or clip.first_sample < 0:
            raise UnexpectedMessage(f"a clip of {clip.model[:80]!r} from {clip.first_sample} on")
        if clip.box is not None and (clip.box.shape != (4,) or not np.isfinite(clip.box).all()):
            raise UnexpectedMessage(f"a box of shape {clip.box.shape}, expected four numbers")
        crops = self._decoded(connection, clip) if clip.order or clip.box is None else connection.scene
        if not crops:
            raise UnexpectedMessage("a clip without pictures")
        if clip.box is not None:
            connection.scene = crops
        return Pictures(crops, clip.first_sample, clip.provisional, clip.box)

    def _decoded(self, connection: LentConnection, clip: LentClip) -> tuple[Image, ...]:
        try:
            with self._measures.timed("lent_decode"):
                return unpack_clip(clip.order, clip.jpeg, connection.clip_shape)
        except ValueError as error:
            raise UnexpectedMessage(str(error)) from None

    def _forget(self, connection: LentConnection, track_id: int) -> None:
        gone: Key = (connection.number, track_id)
        connection.drop(track_id)
        self._credit.forget(gone)
        self._scheduler.forget(gone)
        self._engine.forget(lambda key: key == gone)

    def leave(self, number: int) -> None:
        """The other node's stream is gone, or the node is."""
        self._room.leave(number)
        self._credit.forget_connection(number)
        idle = self._lent - self.asked()
        self._lent.difference_update(idle)
        self._engine.retire(idle)
        self._fetch()

    # -- pixels

    def _judged(self, key: Key) -> None:
        self._credit.judged(key)
        self._fetch()

    def _fetch(self) -> None:
        """Asks for clips as far as there is room for them."""
        for key in self._credit.due():
            connection = self._connections.get(key[0])
            try:
                if not isinstance(connection, LentConnection):
                    raise ChannelClosed("it has left")
                connection.want(key[1])
            except ChannelClosed:
                self._credit.none(key)
