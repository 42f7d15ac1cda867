"""Joints in pictures of streams whose exercises are counted: beside detection and classification, behind both.

A thread of its own, which yields like the classifying one: what it does comes late at worst, and is then left out.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np

from pipeline.entities import Poses
from pipeline.errors import DetectorError
from service.engine import InferenceEngine
from service.processes.inference_messages import PoseRequest, PosesAnswer
from service.processes.ipc import ChannelClosed
from service.processes.messages import MessageChannel

log = logging.getLogger(__name__)

POSE_NICENESS = 10
NOBODY = Poses(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 17, 3), np.float32))


class Asker(Protocol):
    """A stream that is connected (``inference_process.Connection``)."""

    number: int
    channel: MessageChannel


class PoseDesk:
    """``put`` from any thread, ``work`` is the body of one."""

    def __init__(self, engine: InferenceEngine) -> None:
        self._engine = engine
        self._condition = threading.Condition()
        self._waiting: dict[int, tuple[Asker, PoseRequest]] = {}
        self._wanted: list[tuple[str, Callable[[str], None]]] = []

    def prepare(self, stream_id: str, done: Callable[[str], None]) -> None:
        """Has the network loaded by ``work``'s thread for a stream that wants joints, which may take minutes.

        ``done`` is called there then: with why there will be none, "" where nothing is wrong.
        """
        with self._condition:
            self._wanted.append((stream_id, done))
            self._condition.notify()

    def put(self, asker: Asker, request: PoseRequest) -> None:
        """A newer picture of a stream takes the place of one that waits."""
        with self._condition:
            if asker.number in self._waiting:
                self._engine.measures.count("poses_skipped_total")
            self._waiting[asker.number] = (asker, request)
            self._condition.notify()

    def work(self, closed: threading.Event) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), POSE_NICENESS)
        while not closed.is_set():
            with self._condition:
                if not self._waiting and not self._wanted:
                    self._condition.wait(0.5)
                wanted, self._wanted = self._wanted, []
                number = next(iter(self._waiting), None)
                turn = None if number is None else self._waiting.pop(number)
            for stream_id, done in wanted:
                done(self._loaded(stream_id))
            if turn is not None:
                self._answer(*turn)

    def _loaded(self, stream_id: str) -> str:
        try:
            self._engine.pose_network()
        except DetectorError as error:
            log.error("stream %s: exercises are not counted: %s", stream_id, error)
            return str(error)
        return ""

    def _answer(self, asker: Asker, request: PoseRequest) -> None:
        """An answer always comes, so that a file that waits for it goes on."""
        try:
            found = self._engine.find_poses(request.image)
        except (DetectorError, RuntimeError, ValueError):
            found = NOBODY  # the stream knows why
        answer = PosesAnswer(request.request, found.boxes_xyxy, found.confidences, found.keypoints)
        with contextlib.suppress(ChannelClosed):  # it left meanwhile
            asker.channel.send(answer)
