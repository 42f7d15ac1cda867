"""A stream process's side of the inference process: frames out, detections in; clips wait here until asked for.

Only the newest clip of each track waits, and its pixels cross the process border when the worker has time for it. A
lost connection is made again in the background; meanwhile ``detect`` answers None and the stream's tracks coast.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.entities import ActionScores, Clip, Detections, Floats, Frame, Image
from service.counters import Measures
from service.processes.ipc import Channel, ChannelClosed, Message

log = logging.getLogger(__name__)

MAX_SCORES = 1024  # answers not yet taken by the stream
RECONNECT_S = 0.2
SEND_TIMEOUT_S = 3.0
FINISH_S = 30.0
PROBLEM_RETRY_S = 5.0  # the worker cannot load the model: asking costs it a try to load


class InferenceClient:
    """Implements ``stream.Inference`` over the local socket at ``path``. Use ``close`` when done."""

    def __init__(
        self,
        path: Path,
        stream_id: str,
        model: str,
        measures: Measures,
        patient: bool = False,
        detect_timeout_s: float = 5.0,
    ) -> None:
        self._path = path
        self._hello = {"stream_id": stream_id, "model": model}
        self._measures = measures
        self._patient = patient
        self._detect_timeout_s = detect_timeout_s
        self._condition = threading.Condition()
        self._channel: Channel | None = None
        self._labels: tuple[str, ...] = ()
        self._clips: dict[int, Clip] = {}
        self._sent: dict[int, Clip] = {}
        self._scene: tuple[Image, ...] | None = None  # the last one sent on this channel; receiving thread only
        self._scores: deque[ActionScores] = deque(maxlen=MAX_SCORES)
        self._replies: dict[int, Detections] = {}
        self._request = 0
        self._last_label_s: dict[int, float] = {}
        self._closing = threading.Event()
        self.problem: str | None = None
        self._thread = threading.Thread(target=self._run, name="inference-client", daemon=True)
        self._thread.start()

    # -- what the straight line calls

    def detect(self, frame: Frame, expected_xyxy: Floats) -> Detections | None:
        found = self._detect_once(frame, expected_xyxy)
        while found is None and self._patient and not self._closing.is_set():
            self._closing.wait(RECONNECT_S)
            found = self._detect_once(frame, expected_xyxy)
        return found

    def _detect_once(self, frame: Frame, expected_xyxy: Floats) -> Detections | None:
        channel = self._channel
        if channel is None:
            self._measures.count("frames_without_inference_total")
            return None
        with self._condition:
            self._request += 1
            request = self._request
        expected = np.asarray(expected_xyxy, np.float32).reshape(-1, 4)
        try:
            channel.send("detect", {"request": request}, {"image": frame.image, "expected": expected})
        except ChannelClosed:
            return None
        return self._wait_for(request, channel)

    def _wait_for(self, request: int, channel: Channel) -> Detections | None:
        deadline = time.monotonic() + self._detect_timeout_s
        with self._condition:
            while request not in self._replies:
                left = deadline - time.monotonic()
                if left <= 0 or channel is not self._channel:
                    break
                self._condition.wait(min(left, 0.5))
            else:
                return self._replies.pop(request)
        self._measures.count("detections_timed_out_total")
        channel.close()  # a worker that hangs: do not wait for it frame by frame, the receiving thread connects again
        return None

    def finish(self) -> None:
        """A file waits (FINISH_S at most) until the clips still waiting or being classified are answered."""
        deadline = time.monotonic() + FINISH_S
        with self._condition:
            while (
                self._patient
                and (self._clips or self._sent)
                and time.monotonic() < deadline
                and not self._closing.is_set()
            ):
                self._condition.wait(0.1)

    def submit(self, clip: Clip) -> None:
        with self._condition:
            replaced = self._clips.get(clip.track_id)
            self._clips[clip.track_id] = clip
            channel = self._channel
        if replaced is not None:
            self._measures.count("clips_skipped_total")
        self._measures.count("clips_submitted_total")
        if channel is not None:
            _try_send(channel, "offer", {"track_id": clip.track_id})

    def take(self) -> list[ActionScores]:
        with self._condition:
            scores = list(self._scores)
            self._scores.clear()
        return scores

    def forget(self, track_id: int) -> None:
        """The track is gone: its waiting clip is of no use any more."""
        with self._condition:
            dropped = self._clips.pop(track_id, None)
            self._sent.pop(track_id, None)
            self._last_label_s.pop(track_id, None)
            channel = self._channel
        if dropped is not None:
            self._measures.count("clips_skipped_total")
        if channel is not None:
            _try_send(channel, "forget", {"track_id": track_id})

    @property
    def waiting(self) -> int:
        """Clips that wait for the worker (at most one a track)."""
        return len(self._clips)

    @property
    def connected(self) -> bool:
        return self._channel is not None

    def close(self) -> None:
        self._closing.set()
        channel = self._channel
        if channel is not None:
            channel.close()
        self._thread.join(2.0)

    # -- the receiving thread

    def _run(self) -> None:
        while not self._closing.is_set():
            channel = self._connect()
            if channel is None:
                self._closing.wait(RECONNECT_S)
                continue
            try:
                while True:
                    self._handle(channel, channel.receive())
            except ChannelClosed as error:
                self._disconnect(channel, str(error))
                self._closing.wait(RECONNECT_S if self.problem is None else PROBLEM_RETRY_S)

    def _connect(self) -> Channel | None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(5.0)
            sock.connect(str(self._path))
            channel = Channel(sock, SEND_TIMEOUT_S)
            channel.send("hello", self._hello)
            return channel
        except (OSError, ChannelClosed):
            sock.close()
            return None

    def _disconnect(self, channel: Channel, why: str) -> None:
        channel.close()
        with self._condition:
            if self._channel is channel:
                self._channel = None
            self._sent.clear()
            self._condition.notify_all()
        if not self._closing.is_set():
            log.warning("inference is away: %s", why)
            self._measures.count("inference_disconnects_total")

    def _handle(self, channel: Channel, message: Message) -> None:
        if message.kind == "detections":
            self._on_detections(message)
        elif message.kind == "want":
            self._on_want(channel, int(message.fields["track_id"]))
        elif message.kind == "scores":
            self._on_scores(message)
        elif message.kind == "welcome":
            self._on_welcome(channel, message.fields)
        elif message.kind == "problem":
            self._on_problem(str(message.fields["reason"]))

    def _on_welcome(self, channel: Channel, fields: dict[str, Any]) -> None:
        with self._condition:
            self._labels = tuple(fields["labels"])
            self._channel = channel
            self._scene = None
            self.problem = None
            waiting = list(self._clips)
        for track_id in waiting:
            _try_send(channel, "offer", {"track_id": track_id})

    def _on_problem(self, reason: str) -> None:
        if reason != self.problem:
            log.error("inference: %s", reason)
        with self._condition:
            self.problem = reason
            self._sent.clear()  # no scores will come
            self._condition.notify_all()

    def _on_detections(self, message: Message) -> None:
        arrays = message.arrays
        found = Detections(arrays["boxes"], arrays["confidences"], arrays["features"])
        with self._condition:
            self._replies.clear()  # an answer that nobody waited for any more
            self._replies[int(message.fields["request"])] = found
            self._condition.notify_all()

    def _on_want(self, channel: Channel, track_id: int) -> None:
        with self._condition:
            clip = self._clips.pop(track_id, None)
            if clip is not None:
                self._sent[track_id] = clip
        if clip is None:
            _try_send(channel, "no_clip", {"track_id": track_id})
        else:
            fields = {"track_id": track_id, "first_sample": clip.first_sample, "filled": clip.filled}
            _try_send(channel, "clip", fields, self._clip_arrays(clip))

    def _clip_arrays(self, clip: Clip) -> dict[str, NDArray[Any]]:
        """What crosses the border; a scene's pictures cross once for all tracks that ask with them in turn."""
        if clip.box is None:
            return {"crops": clip.stack()}
        if clip.crops is self._scene:
            return {"box": clip.box}
        self._scene = clip.crops
        return {"crops": clip.stack(), "box": clip.box}

    def _on_scores(self, message: Message) -> None:
        track_id = int(message.fields["track_id"])
        with self._condition:
            clip = self._sent.pop(track_id, None)
            if clip is None:
                return
            self._scores.append(_scores_of(clip, self._labels, message.arrays["probabilities"]))
            before = self._last_label_s.get(track_id)
            self._last_label_s[track_id] = clip.end_s
        self._measures.observe("label_latency", time.monotonic() - clip.received_s)
        if before is not None:
            self._measures.observe("label_interval", max(0.0, clip.end_s - before))


def _scores_of(clip: Clip, labels: tuple[str, ...], probabilities: Floats) -> ActionScores:
    return ActionScores(
        track_id=clip.track_id,
        labels=labels,
        probabilities=probabilities,
        start_s=clip.start_s,
        end_s=clip.end_s,
        captured_at=clip.captured_at,
        received_s=clip.received_s,
        provisional=clip.provisional,
    )


def _try_send(channel: Channel, kind: str, fields: dict[str, Any], arrays: dict[str, Any] | None = None) -> None:
    """A closed channel is noticed and mended by the receiving thread."""
    with contextlib.suppress(ChannelClosed):
        channel.send(kind, fields, arrays)
