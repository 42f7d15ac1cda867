"""One stream that is connected to the inference process: its channel, and the clips that it was asked for."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from pipeline.entities import Image
from service.budget.plan import Plan
from service.engine import Pictures
from service.processes.inference_messages import ClipAnswer, ClipWanted, PlanAdvice, ScoresAnswer
from service.processes.ipc import ChannelClosed
from service.processes.messages import MessageChannel, UnexpectedMessage

log = logging.getLogger(__name__)


class Connection:
    """One stream: its channel, and the clips that it was asked for."""

    def __init__(self, number: int, channel: MessageChannel) -> None:
        self.number = number
        self.channel = channel
        self.stream_id = ""
        self._condition = threading.Condition()
        self._answers: dict[int, tuple[str, Pictures] | None] = {}
        self._asked: set[int] = set()
        self._requests: dict[int, int] = {}  # track → how often it was asked for a clip
        self._scene: tuple[Image, ...] = ()  # the last one received; its other tracks refer to it

    def read_clip(self, answer: ClipAnswer) -> Pictures:
        """What a network sees of it. Several tracks of one scene refer to one and the same tuple of pictures.

        Raises UnexpectedMessage where none came yet.
        """
        crops = tuple(answer.crops) if answer.crops is not None else self._scene
        if not crops:
            raise UnexpectedMessage("a clip without pictures")
        if answer.box is not None:
            self._scene = crops
        return Pictures(crops, answer.first_sample, answer.filled < len(crops), answer.box)

    def advise(self, plan: Plan) -> None:
        try_send(self, PlanAdvice(plan))

    def give(self, scores: ScoresAnswer) -> None:
        """The answer to the clip that the stream was asked for last."""
        try_send(self, scores)

    def ask(self, track_id: int) -> None:
        """Asks for the newest clip of a track; ``answer`` waits for it."""
        self.next_request(track_id)
        with self._condition:
            self._answers.pop(track_id, None)
            self._asked.add(track_id)
        self.channel.send(ClipWanted(track_id))

    def next_request(self, track_id: int) -> int:
        """Somebody asks for the track's clip → the number of that; what was asked for before it counts no more."""
        with self._condition:
            self._requests[track_id] = self._requests.get(track_id, 0) + 1
            return self._requests[track_id]

    def newest(self, track_id: int) -> int:
        """→ the number of the last request for the track's clip; 0: there was none."""
        with self._condition:
            return self._requests.get(track_id, 0)

    def forget(self, track_id: int) -> None:
        """The track is gone."""
        with self._condition:
            self._requests.pop(track_id, None)

    def put_answer(self, track_id: int, clip: tuple[str, Pictures] | None) -> None:
        """``clip``: the network that it was cut for, and what it sees."""
        with self._condition:
            if track_id in self._asked:  # else it came too late, and 9.6 MB would stay for ever
                self._answers[track_id] = clip
                self._condition.notify_all()

    def answer(self, track_id: int, deadline: float) -> tuple[str, Pictures] | None:
        """→ network and clip, or None if the track has none any more or the stream is silent until ``deadline``."""
        with self._condition:
            while track_id not in self._answers:
                left = deadline - time.monotonic()
                if left <= 0 or self.channel.closed:
                    self._asked.discard(track_id)
                    return None
                self._condition.wait(left)
            self._asked.discard(track_id)
            return self._answers.pop(track_id)


@dataclass(frozen=True, slots=True, eq=False)
class Fetched:
    """A clip that came, and whose it is."""

    connection: Connection
    track_id: int
    model: str
    pictures: Pictures


def try_send(connection: Connection, message: object) -> None:
    """A stream that left meanwhile is forgotten by its reader thread."""
    try:
        connection.channel.send(message)
    except ChannelClosed:
        log.debug("stream %s left before its answer", connection.stream_id)
