"""The inference process: detection and classification for every stream of this machine.

Threads: one reader a connected stream, one detecting (batches whatever frames wait, one a stream at most), one
classifying (takes the tracks in turn, fetches their newest clips, runs them as one batch). Started by the supervisor
as ``python -m service.processes.inference_process FD``; the socket ``FD`` brings the configuration and carries reports
back.
"""

from __future__ import annotations

import itertools
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from service.budget.machine import usable_cores
from service.budget.plan import BudgetView
from service.configuration import EngineConfig
from service.counters import Measures
from service.engine import InferenceEngine, ModelUnavailable, Pictures
from service.processes.child import ControlLink, leave, start_child
from service.processes.connection import Connection, Fetched, try_send
from service.processes.inference_messages import (
    ChangeNetworks,
    ClipAnswer,
    ClipOffer,
    DetectAnswer,
    DetectRequest,
    Hello,
    LoadReport,
    ModelProblem,
    NoClip,
    PoseRequest,
    ScoresAnswer,
    TrackGone,
    Welcome,
)
from service.processes.ipc import ChannelClosed
from service.processes.messages import (
    InferenceFailed,
    InferenceLoading,
    InferenceReady,
    InferenceSetup,
    InferenceStats,
    MessageChannel,
    UnexpectedMessage,
    unexpected,
)
from service.processes.network_desk import NetworkDesk
from service.processes.nodes import NO_LOANS
from service.processes.planner import Planner
from service.processes.pose_desk import PoseDesk
from service.processes.scheduler import ClipScheduler, Key
from service.processes.shadow_desk import ShadowDesk
from service.processes.transport import Listener
from service.processes.version_messages import LoadNetworks, ShadowNetworks

log = logging.getLogger(__name__)

MAX_DETECT_BATCH = 8
CLIP_WAIT_S = 2.0
CLASSIFY_NICENESS = 10
PREPARING_POSES = "the pose network is being prepared"
FEW_CORES = 4
_Setup = TypeVar("_Setup", bound=InferenceSetup)


class DetectQueue:
    """Frames that wait for the detector: at most one a connection, since a stream waits for its answer."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: dict[int, tuple[Connection, DetectRequest]] = {}

    def put(self, connection: Connection, request: DetectRequest) -> None:
        with self._condition:
            self._waiting[connection.number] = (connection, request)
            self._condition.notify()

    def take(self, limit: int, timeout_s: float) -> list[tuple[Connection, DetectRequest]]:
        with self._condition:
            if not self._waiting:
                self._condition.wait(timeout_s)
            numbers = list(self._waiting)[:limit]
            return [self._waiting.pop(number) for number in numbers]

    def __len__(self) -> int:
        return len(self._waiting)


class InferenceServer:
    """Serves the streams that connect to ``address`` until ``close``."""

    def __init__(self, engine: InferenceEngine, address: str) -> None:
        self._engine = engine
        self._measures = engine.measures
        self._scheduler = ClipScheduler()
        self._frames = DetectQueue()
        self._poses = PoseDesk(engine)
        self._planner = Planner(engine)
        self.networks = NetworkDesk(engine, self._planner)
        self.shadow = ShadowDesk(engine, lambda: self._scheduler.stats().waiting > 0)
        self._connections: dict[int, Connection] = {}
        self._numbers = itertools.count(1)
        self._closed = threading.Event()
        self.loans = NO_LOANS
        self.lends_at = ""
        self._listener = Listener(address)

    def start(self, on_failure: Callable[[str], None]) -> None:
        """Starts the threads. ``on_failure`` hears of an error that ended a thread: the process should then end."""
        for name, body in self._bodies().items():
            threading.Thread(target=_guarded, args=(name, body, on_failure), name=name, daemon=True).start()

    def _bodies(self) -> dict[str, Callable[[], None]]:
        """→ what each thread does, by name."""
        return {
            "accept": self._accept,
            "detect": self._detect,
            "pose": self._pose,
            "classify": self._classify,
            "shadow": lambda: self.shadow.work(self._closed),
        }

    def close(self) -> None:
        self._closed.set()
        self._planner.keep()
        self._scheduler.close()
        self._listener.close()
        for connection in list(self._connections.values()):
            connection.channel.close()

    def measure_first(self) -> None:
        """Once, before ``start``: what work costs on a host that nothing is known of."""
        self._planner.measure_first()

    def tick(self) -> None:
        """About once a second: plans anew and tells the streams."""
        self._planner.tick()

    def try_beside(self, wish: ShadowNetworks) -> None:
        """Which versions are tried from now on."""
        self.shadow.pair(wish.pairs, self._planner.networks)

    def report(self) -> dict[str, Any]:
        """Gauges for the supervisor, and everything measured."""
        self._measures.gauge("budget_step", self._planner.step)
        self._measures.gauge("detector_image_size", self._planner.image_size)
        stats = self._scheduler.stats()
        self._measures.gauge("clip_queue_depth", stats.waiting)
        self._measures.gauge("clip_oldest_wait_seconds", stats.oldest_wait_s)
        self._measures.gauge("frame_queue_depth", len(self._frames))
        self._measures.gauge("connections", len(self._connections))
        return self._measures.snapshot()

    def describe(self) -> dict[str, str]:
        return self._engine.describe()

    def budget(self) -> BudgetView:
        return self._planner.view()

    # -- threads

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                channel = self._listener.accept()
            except OSError:
                return  # closed
            number = next(self._numbers)
            connection = Connection(number, MessageChannel(channel))
            self._connections[number] = connection
            arguments = (connection, self._handle)
            threading.Thread(target=self._serve, args=arguments, name=f"stream-{number}", daemon=True).start()

    def _serve(self, connection: Connection, handle: Callable[[Connection, object], None]) -> None:
        try:
            while True:
                handle(connection, connection.channel.receive())
        except ChannelClosed:
            log.info("stream %s left", connection.stream_id or connection.number)
        except UnexpectedMessage as error:
            log.error("stream %s sent a malformed message: %s", connection.stream_id, error)
        finally:
            connection.channel.close()
            self._planner.leave(connection.number)
            self._scheduler.forget_connection(connection.number)
            self._engine.forget(lambda key: key[0] == connection.number)
            self._connections.pop(connection.number, None)
            self._left(connection.number)

    def _left(self, number: int) -> None:
        self.loans.leave(number)

    def _handle(self, connection: Connection, message: object) -> None:
        match message:
            case DetectRequest():
                self._frames.put(connection, message)
            case PoseRequest():
                self._poses.put(connection, message)
            case ClipOffer():
                if not self.loans.offer(connection.number, message):
                    self._scheduler.offer((connection.number, message.track_id), message.model, message.gain)
            case LoadReport():
                self._planner.observe(connection.number, message.load)
                self.loans.observe(connection.number, message.load)
            case ClipAnswer():
                self._put(connection, message.track_id, (message.model, connection.read_clip(message)))
            case NoClip():
                self._put(connection, message.track_id, None)
            case TrackGone():
                self._forget(connection, message.track_id)
            case Hello():
                self._welcome(connection, message)
            case ChangeNetworks():
                self._greet(connection, message.model, message.light)
                self._planner.change(connection.number, message.model, message.light)
            case _:
                raise unexpected(message, "the inference process")

    def _put(self, connection: Connection, track_id: int, clip: tuple[str, Pictures] | None) -> None:
        """What the stream gave when it was asked: for another node, if that had asked, or for this one."""
        if not self.loans.take(connection.number, track_id, clip):
            connection.put_answer(track_id, clip)

    def _forget(self, connection: Connection, track_id: int) -> None:
        gone = (connection.number, track_id)
        self.loans.gone(*gone)
        self._scheduler.forget(gone)
        self._engine.forget(lambda key: key == gone)
        connection.forget(track_id)

    def _welcome(self, connection: Connection, hello: Hello) -> None:
        connection.stream_id = hello.stream_id
        self._greet(connection, hello.model, hello.light)
        number = connection.number
        self._planner.join(number, hello, connection.advise, PREPARING_POSES if hello.poses else "")
        if hello.poses:
            self._poses.prepare(hello.stream_id, lambda problem: self._planner.poses_prepared(number, problem))
        log.info("stream %s joined, model %s", connection.stream_id, hello.model)

    def _greet(self, connection: Connection, model: str, light: str) -> None:
        """Tells the labels; loads what gives them where it is not there. Raises ChannelClosed where it cannot be."""
        try:
            labels = self._engine.classifier(light or model).labels  # the other one comes up behind it
            if light:
                self._engine.measure_clip(light)
        except ModelUnavailable as error:
            connection.channel.send(ModelProblem(str(error)))
            raise ChannelClosed(str(error)) from error
        connection.channel.send(Welcome(tuple(labels), tuple(name for name in (model, light) if name)))
        self.loans.join(connection, model, tuple(labels))

    def _detect(self) -> None:
        while not self._closed.is_set():
            batch = self._frames.take(MAX_DETECT_BATCH, timeout_s=0.5)
            if not batch:
                continue
            for size in sorted({request.image_size for _, request in batch}):
                self._detect_sized([each for each in batch if each[1].image_size == size], size)

    def _pose(self) -> None:
        self._poses.work(self._closed)

    def _detect_sized(self, batch: list[tuple[Connection, DetectRequest]], image_size: int) -> None:
        images, expected = [each.image for _, each in batch], [each.expected_xyxy for _, each in batch]
        found = self._engine.detect(images, expected, image_size)
        for (connection, request), people in zip(batch, found, strict=True):
            answer = DetectAnswer(request.request, people.boxes_xyxy, people.confidences, people.features)
            try_send(connection, answer)

    def _classify(self) -> None:
        # Detection must keep the cameras' pace, labels may come a little later: where cores are scarce this thread
        # yields.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), CLASSIFY_NICENESS)
        while not self._closed.is_set():
            model, keys = self._scheduler.take(self._engine.batch_limit, timeout_s=0.5)
            if not keys:
                continue
            with self._measures.timed("fetch"):
                fetched = self._fetch(keys)
                # Asked for after the pictures came: by then the stream has offered all the people of this scene.
                room = self._engine.scene_limit(model) - len(keys)
                fetched += self._fetch(self._scheduler.take_beside(keys[0], model, room))
            for wanted in sorted({each.model for each in fetched}):  # a newer clip may be for the other network
                self._classify_fetched(wanted, [each for each in fetched if each.model == wanted])

    def _classify_fetched(self, model: str, fetched: list[Fetched]) -> None:
        """Sends each stream its scores. Clips that the model cannot read are their own stream's problem only."""
        if not self._engine.loaded(model):  # it was too dear; its streams ask the lighter one by now
            self._measures.count("clips_unwanted_total", len(fetched))
            return
        keys = [(each.connection.number, each.track_id) for each in fetched]
        try:
            found = self._engine.classify(model, [each.pictures for each in fetched], keys)
        except ValueError as error:  # clips of another shape or kind: the model changed after the stream began
            connections = {each.connection for each in fetched}
            if len(connections) > 1:
                for connection in connections:
                    self._classify_fetched(model, [each for each in fetched if each.connection is connection])
            else:
                reason = f"model {model!r} cannot read this stream's clips: {error}; restart the stream"
                try_send(fetched[0].connection, ModelProblem(reason))
            return
        for each, probabilities in zip(fetched, found, strict=True):
            number = self.shadow.offer(each.connection, each.track_id, model, each.pictures)
            each.connection.give(ScoresAnswer(each.track_id, probabilities, number))

    def _fetch(self, keys: list[Key]) -> list[Fetched]:
        """Asks every stream first, so that their answers are made at the same time."""
        asked = []
        for number, track_id in keys:
            connection = self._connections.get(number)
            if connection is None:
                continue
            try:
                connection.ask(track_id)
                asked.append((connection, track_id))
            except ChannelClosed:
                continue
        deadline = time.monotonic() + CLIP_WAIT_S
        answers = [(connection, track_id, connection.answer(track_id, deadline)) for connection, track_id in asked]
        return [Fetched(connection, track_id, *clip) for connection, track_id, clip in answers if clip is not None]


def _guarded(name: str, body: Callable[[], None], on_failure: Callable[[str], None]) -> None:
    try:
        body()
    except Exception as error:
        log.exception("the %s thread failed", name)
        on_failure(f"{name}: {error}")


def main(argv: list[str]) -> int:
    """Entry point; see the module's text. Returns the exit status."""
    link = start_child(int(argv[1]), InferenceSetup)
    return run(link, lambda engine: InferenceServer(engine, link.setup.address))


def run(link: ControlLink[_Setup], server_of: Callable[[InferenceEngine], InferenceServer]) -> int:
    """Until it is told to end. Returns the exit status."""
    link.listen()
    try:
        config = _with_threads(link.setup.engine)
        engine = InferenceEngine(config, Measures(), lambda what: link.send(InferenceLoading(what)))
    except Exception as error:
        log.exception("the models cannot be loaded")
        link.send(InferenceFailed(str(error)))
        link.flush()
        return 3
    return _serve_until_told(server_of(engine), link)


def _with_threads(config: EngineConfig) -> EngineConfig:
    """On few cores each network runs in the thread that calls it, whose niceness then counts for all of its work.

    OpenVINO's own threads keep the niceness of whoever needed them first, in one pool for all networks. On two busy
    cores a detection beside a classifier with two such threads took 5.5 times as long as alone (docs/architecture.md).
    """
    few = config.threads == 0 and usable_cores() < FEW_CORES
    return replace(config, threads=1) if few else config


def _serve_until_told(server: InferenceServer, link: ControlLink[_Setup]) -> int:
    server.shadow.tell = link.send
    server.try_beside(ShadowNetworks(link.setup.shadows))
    link.on(LoadNetworks, lambda wish: server.networks.load(wish, link.send))  # told once this is ready, not before
    link.on(ShadowNetworks, server.try_beside)
    server.measure_first()
    server.start(link.fail)
    link.send(InferenceReady(server.describe()))
    while not link.stopped.wait(1.0):
        server.tick()
        link.send(InferenceStats(server.report(), server.describe(), server.budget(), server.lends_at))
    server.close()
    return link.exit_status


if __name__ == "__main__":
    leave(main(sys.argv))
