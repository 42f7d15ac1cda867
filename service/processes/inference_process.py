"""The inference process: detection and classification for every stream of this machine.

Threads: one reader a connected stream, one detecting (batches whatever frames wait, one a stream at most), one
classifying (takes the tracks in turn, fetches their newest clips, runs them as one batch). Started by the supervisor
as ``python -m service.processes.inference_process FD``; the socket ``FD`` brings the configuration and carries reports
back.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.entities import Clip, Floats, Image
from service.configuration import EngineConfig
from service.counters import Measures
from service.engine import InferenceEngine, ModelUnavailable
from service.processes.child import ControlLink, leave, start_child
from service.processes.ipc import Channel, ChannelClosed, Message
from service.processes.scheduler import ClipScheduler, Key

log = logging.getLogger(__name__)

MAX_DETECT_BATCH = 8
CLIP_WAIT_S = 2.0
CLASSIFY_NICENESS = 5


class Connection:
    """One stream: its channel, the model that it wants, and the clips that it was asked for."""

    def __init__(self, number: int, channel: Channel) -> None:
        self.number = number
        self.channel = channel
        self.stream_id = ""
        self.model = ""
        self._condition = threading.Condition()
        self._answers: dict[int, Clip | None] = {}
        self._asked: set[int] = set()
        self._scene: tuple[Image, ...] = ()  # the last one received; its other tracks refer to it

    def read_clip(self, fields: dict[str, Any], arrays: dict[str, Any]) -> Clip:
        """The message's clip; its times stay with the stream's process, which alone needs them.

        Several tracks of one scene refer to one and the same tuple of pictures. Raises ValueError where none came yet.
        """
        box = arrays.get("box")
        pictures = tuple(arrays["crops"]) if "crops" in arrays else self._scene
        if not pictures:
            raise ValueError("a clip without pictures")
        if box is not None:
            self._scene = pictures
        filled = int(fields["filled"])
        return Clip(
            track_id=int(fields["track_id"]),
            crops=pictures,
            start_s=0.0,
            end_s=0.0,
            captured_at=0.0,
            received_s=0.0,
            filled=filled,
            provisional=filled < len(pictures),
            first_sample=int(fields["first_sample"]),
            box=box,
        )

    def ask(self, track_id: int) -> None:
        """Asks for the newest clip of a track; ``answer`` waits for it."""
        with self._condition:
            self._answers.pop(track_id, None)
            self._asked.add(track_id)
        self.channel.send("want", {"track_id": track_id})

    def put_answer(self, track_id: int, clip: Clip | None) -> None:
        with self._condition:
            if track_id in self._asked:  # else it came too late, and 9.6 MB would stay for ever
                self._answers[track_id] = clip
                self._condition.notify_all()

    def answer(self, track_id: int, deadline: float) -> Clip | None:
        """→ the clip, or None if the track has none any more or the stream does not answer until ``deadline``."""
        with self._condition:
            while track_id not in self._answers:
                left = deadline - time.monotonic()
                if left <= 0 or self.channel.closed:
                    self._asked.discard(track_id)
                    return None
                self._condition.wait(left)
            self._asked.discard(track_id)
            return self._answers.pop(track_id)


class DetectQueue:
    """Frames that wait for the detector: at most one a connection, since a stream waits for its answer."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: dict[int, tuple[Connection, int, Image, Floats]] = {}

    def put(self, connection: Connection, request: int, image: Image, expected_xyxy: Floats) -> None:
        with self._condition:
            self._waiting[connection.number] = (connection, request, image, expected_xyxy)
            self._condition.notify()

    def take(self, limit: int, timeout_s: float) -> list[tuple[Connection, int, Image, Floats]]:
        with self._condition:
            if not self._waiting:
                self._condition.wait(timeout_s)
            numbers = list(self._waiting)[:limit]
            return [self._waiting.pop(number) for number in numbers]

    def __len__(self) -> int:
        return len(self._waiting)


class InferenceServer:
    """Serves the streams that connect to ``path`` until ``close``."""

    def __init__(self, engine: InferenceEngine, path: Path) -> None:
        self._engine = engine
        self._measures = engine.measures
        self._scheduler = ClipScheduler()
        self._frames = DetectQueue()
        self._connections: dict[int, Connection] = {}
        self._closed = threading.Event()
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen(64)

    def start(self, on_failure: Callable[[str], None]) -> None:
        """Starts the threads. ``on_failure`` hears of an error that ended a thread: the process should then end."""
        for name, body in (("accept", self._accept), ("detect", self._detect), ("classify", self._classify)):
            threading.Thread(target=_guarded, args=(name, body, on_failure), name=name, daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._scheduler.close()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread, which closing would not
        self._listener.close()
        for connection in list(self._connections.values()):
            connection.channel.close()

    def report(self) -> dict[str, Any]:
        """Gauges for the supervisor, and everything measured."""
        stats = self._scheduler.stats()
        self._measures.gauge("clip_queue_depth", stats.waiting)
        self._measures.gauge("clip_oldest_wait_seconds", stats.oldest_wait_s)
        self._measures.gauge("frame_queue_depth", len(self._frames))
        self._measures.gauge("connections", len(self._connections))
        return self._measures.snapshot()

    # -- threads

    def _accept(self) -> None:
        number = 0
        while not self._closed.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return  # closed
            number += 1
            connection = Connection(number, Channel(sock))
            self._connections[number] = connection
            threading.Thread(target=self._serve, args=(connection,), name=f"stream-{number}", daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        try:
            while True:
                self._handle(connection, connection.channel.receive())
        except ChannelClosed:
            log.info("stream %s left", connection.stream_id or connection.number)
        except (KeyError, ValueError, TypeError) as error:
            log.error("stream %s sent a malformed message: %s", connection.stream_id, error)
        finally:
            connection.channel.close()
            self._scheduler.forget_connection(connection.number)
            self._engine.forget(lambda key: key[0] == connection.number)
            self._connections.pop(connection.number, None)

    def _handle(self, connection: Connection, message: Message) -> None:
        fields, arrays = message.fields, message.arrays
        if message.kind == "detect":
            self._frames.put(connection, int(fields["request"]), arrays["image"], arrays["expected"])
        elif message.kind == "offer":
            self._scheduler.offer((connection.number, int(fields["track_id"])), connection.model)
        elif message.kind == "clip":
            connection.put_answer(int(fields["track_id"]), connection.read_clip(fields, arrays))
        elif message.kind == "no_clip":
            connection.put_answer(int(fields["track_id"]), None)
        elif message.kind == "forget":
            gone = (connection.number, int(fields["track_id"]))
            self._scheduler.forget(gone)
            self._engine.forget(lambda key: key == gone)
        elif message.kind == "hello":
            self._welcome(connection, fields)
        else:
            raise ValueError(f"unknown kind {message.kind!r}")

    def _welcome(self, connection: Connection, fields: dict[str, Any]) -> None:
        connection.stream_id, connection.model = str(fields["stream_id"]), str(fields["model"])
        try:
            labels = self._engine.classifier(connection.model).labels
        except ModelUnavailable as error:
            connection.channel.send("problem", {"reason": str(error)})
            raise ChannelClosed(str(error)) from error
        connection.channel.send("welcome", {"labels": list(labels)})
        log.info("stream %s joined, model %s", connection.stream_id, connection.model)

    def _detect(self) -> None:
        while not self._closed.is_set():
            batch = self._frames.take(MAX_DETECT_BATCH, timeout_s=0.5)
            if not batch:
                continue
            found = self._engine.detect([item[2] for item in batch], [item[3] for item in batch])
            for (connection, request, _, _), detections in zip(batch, found, strict=True):
                arrays = {
                    "boxes": detections.boxes_xyxy,
                    "confidences": detections.confidences,
                    "features": detections.features,
                }
                _try_send(connection, "detections", {"request": request}, arrays)

    def _classify(self) -> None:
        # Detection must keep the cameras' pace, labels may come a little later: where cores are scarce this thread
        # yields. On 2 cores detection then takes 21 ms instead of 50 beside a classifier that never pauses.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), CLASSIFY_NICENESS)
        limit = self._engine.batch_limit(self._engine.config.model)
        while not self._closed.is_set():
            model, keys = self._scheduler.take(limit, timeout_s=0.5)
            if not keys:
                continue
            with self._measures.timed("fetch"):
                fetched = self._fetch(keys)
                # Asked for after the pictures came: by then the stream has offered all the people of this scene.
                room = self._engine.scene_limit(model) - len(keys)
                fetched += self._fetch(self._scheduler.take_beside(keys[0], model, room))
            if fetched:
                self._classify_fetched(model, fetched)

    def _classify_fetched(self, model: str, fetched: list[tuple[Connection, Clip]]) -> None:
        """Sends each stream its scores. Clips that the model cannot read are their own stream's problem only."""
        keys = [(connection.number, clip.track_id) for connection, clip in fetched]
        try:
            scores = self._engine.classify(model, [clip for _, clip in fetched], keys)
        except ValueError as error:  # clips of another shape or kind: the model changed after the stream began
            connections = {connection for connection, _ in fetched}
            if len(connections) > 1:
                for connection in connections:
                    self._classify_fetched(model, [item for item in fetched if item[0] is connection])
            else:
                reason = f"model {model!r} cannot read this stream's clips: {error}; restart the stream"
                _try_send(fetched[0][0], "problem", {"reason": reason}, {})
            return
        for (connection, clip), item in zip(fetched, scores, strict=True):
            _try_send(connection, "scores", {"track_id": clip.track_id}, {"probabilities": item.probabilities})

    def _fetch(self, keys: list[Key]) -> list[tuple[Connection, Clip]]:
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
        answers = [(connection, connection.answer(track_id, deadline)) for connection, track_id in asked]
        return [(connection, clip) for connection, clip in answers if clip is not None]


def _try_send(connection: Connection, kind: str, fields: dict[str, Any], arrays: dict[str, Any]) -> None:
    """A stream that left meanwhile is forgotten by its reader thread."""
    try:
        connection.channel.send(kind, fields, arrays)
    except ChannelClosed:
        log.debug("stream %s left before its answer", connection.stream_id)


def _guarded(name: str, body: Callable[[], None], on_failure: Callable[[str], None]) -> None:
    try:
        body()
    except Exception as error:
        log.exception("the %s thread failed", name)
        on_failure(f"{name}: {error}")


def main(argv: list[str]) -> int:
    """Entry point; see the module's text. Returns the exit status."""
    link = start_child(int(argv[1]))
    link.listen()
    fields = link.config
    config = EngineConfig(
        weights_dir=Path(fields["weights_dir"]),
        cache_dir=Path(fields["cache_dir"]),
        model=fields["model"],
        runtime=fields["runtime"],
        detector=Path(fields["detector"]) if fields["detector"] else None,
        detector_image_size=fields["detector_image_size"],
        detector_confidence=fields["detector_confidence"],
        appearance=Path(fields["appearance"]) if fields["appearance"] else None,
        max_batch=fields["max_batch"],
        threads=fields["threads"],
        stem_memory_mb=fields["stem_memory_mb"],
        measure=True,
    )
    try:
        engine = InferenceEngine(config, Measures())
    except Exception as error:
        log.exception("the models cannot be loaded")
        link.send("failed", {"reason": str(error)})
        return 3
    return _serve_until_told(engine, Path(fields["socket"]), link)


def _serve_until_told(engine: InferenceEngine, path: Path, link: ControlLink) -> int:
    server = InferenceServer(engine, path)
    server.start(link.fail)
    link.send("ready", {"parts": engine.describe(), "pid": os.getpid()})
    while not link.stopped.wait(1.0):
        link.send("stats", {"measures": server.report(), "parts": engine.describe()})
    server.close()
    path.unlink(missing_ok=True)
    return link.exit_status


if __name__ == "__main__":
    leave(main(sys.argv))
