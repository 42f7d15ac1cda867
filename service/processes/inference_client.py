"""A stream process's side of the inference process: frames out, detections in; clips wait here until asked for.

Only the newest clip of each track waits, and its pixels cross the process border when the worker has time for it. A
lost connection is made again in the background; meanwhile ``detect`` answers None and the stream's tracks coast.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from dataclasses import replace

import numpy as np

from pipeline.entities import ActionScores, Clip, Detections, Floats, Frame, Image, Poses
from pipeline.form.watch import TimedPoses
from pipeline.letterbox import enlarged, shrunk
from service.budget.plan import EVERYTHING, UNPLANNED, Plan, StreamLoad
from service.counters import Measures
from service.processes.inference_messages import (
    ChangeNetworks,
    ClipAnswer,
    ClipOffer,
    ClipWanted,
    DetectAnswer,
    DetectRequest,
    Hello,
    LoadReport,
    ModelProblem,
    NoClip,
    PlanAdvice,
    PoseRequest,
    PosesAnswer,
    ScoresAnswer,
    ShadowAnswer,
    TrackGone,
    Welcome,
)
from service.processes.ipc import ChannelClosed
from service.processes.messages import MessageChannel, UnexpectedMessage, unexpected
from service.processes.transport import connect

log = logging.getLogger(__name__)

MAX_SCORES = 1024  # answers not yet taken by the stream
MAX_POSES = 64
MAX_SHADOWED = 64  # answers that a network that is tried may still judge as well
MAX_NETWORKS = 4  # of which labels are known: two of the version that answers, two of the one before
POSE_SIDE = 640  # pixels: pose networks see no more
RECONNECT_S = 0.2
SEND_TIMEOUT_S = 3.0
FINISH_S = 30.0
PROBLEM_RETRY_S = 5.0  # the worker cannot load the model: asking costs it a try to load


class InferenceClient:
    """Implements ``stream.Inference`` over the local socket at ``address``. Use ``close`` when done."""

    def __init__(
        self,
        address: str,
        hello: Hello,
        measures: Measures,
        patient: bool = False,
        detect_timeout_s: float = 5.0,
    ) -> None:
        self._address = address
        self._hello = hello
        self._measures = measures
        self._patient = patient
        self._detect_timeout_s = detect_timeout_s
        self._condition = threading.Condition()
        self._channel: MessageChannel | None = None
        self._plan = EVERYTHING if patient else UNPLANNED
        self._labels: dict[str, tuple[str, ...]] = {}  # by network, those asked last at the end
        self._shadowed: dict[int, ActionScores] = {}
        self._judged: deque[tuple[ActionScores, ActionScores]] = deque(maxlen=MAX_SHADOWED)
        self._clips: dict[int, Clip] = {}
        self._sent: dict[int, Clip] = {}
        self._scene: tuple[Image, ...] | None = None  # the last one sent on this channel; receiving thread only
        self._scores: deque[ActionScores] = deque(maxlen=MAX_SCORES)
        self._replies: dict[int, Detections] = {}
        self._asked_poses: dict[int, tuple[float, float]] = {}  # request → media time, scale of the picture sent
        self._poses: deque[TimedPoses] = deque(maxlen=MAX_POSES)
        self._request = 0
        self._last_label_s: dict[int, float] = {}
        self._closing = threading.Event()
        self.problem: str | None = None
        self._thread = threading.Thread(target=self._run, name="inference-client", daemon=True)
        self._thread.start()

    # -- what the straight line calls

    def plan(self) -> Plan:
        return self._plan

    def report(self, load: StreamLoad) -> None:
        """What the stream asks of the machine now; the plan follows it."""
        channel = self._channel
        if channel is not None:
            _try_send(channel, LoadReport(load))

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
            channel.send(DetectRequest(request, frame.image, expected, self._plan.image_size))
        except ChannelClosed:
            return None
        return self._wait_for(request, channel)

    def _wait_for(self, request: int, channel: MessageChannel) -> Detections | None:
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

    def ask_poses(self, frame: Frame) -> None:
        """Sent small, as the network sees it. A file waits for the answer."""
        channel = self._channel
        if channel is None:
            return
        image, scale = shrunk(frame.image, POSE_SIDE)
        with self._condition:
            self._request += 1
            request = self._request
            self._asked_poses[request] = (frame.time_s, scale)
            while len(self._asked_poses) > MAX_POSES:  # those left out by the worker are never answered
                self._asked_poses.pop(next(iter(self._asked_poses)))
        _try_send(channel, PoseRequest(request, image))
        if self._patient:
            self._wait_for_poses(request, channel)

    def _wait_for_poses(self, request: int, channel: MessageChannel) -> None:
        deadline = time.monotonic() + self._detect_timeout_s
        with self._condition:
            while request in self._asked_poses and channel is self._channel and time.monotonic() < deadline:
                self._condition.wait(0.5)

    def take_poses(self) -> list[TimedPoses]:
        with self._condition:
            poses = list(self._poses)
            self._poses.clear()
        return poses

    def submit(self, clip: Clip, gain: float = 1.0) -> None:
        with self._condition:
            replaced = self._clips.get(clip.track_id)
            self._clips[clip.track_id] = clip
            channel = self._channel
        if replaced is not None:
            self._measures.count("clips_skipped_total")
        self._measures.count("clips_submitted_total")
        if channel is not None:
            _try_send(channel, ClipOffer(clip.track_id, clip.model, gain))

    def take(self) -> list[ActionScores]:
        with self._condition:
            scores = list(self._scores)
            self._scores.clear()
        return scores

    def take_judged(self) -> list[tuple[ActionScores, ActionScores]]:
        """→ answers that a network that is tried gave as well, each after the one that counts; since the last call."""
        with self._condition:
            judged = list(self._judged)
            self._judged.clear()
        return judged

    def change_networks(self, model: str, light: str) -> None:
        """Another version answers from now on, for clips that are cut for it."""
        with self._condition:
            self._hello = replace(self._hello, model=model, light=light)
            channel = self._channel
        if channel is not None:  # else the next greeting says it
            _try_send(channel, ChangeNetworks(model, light))

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
            _try_send(channel, TrackGone(track_id))

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
            except (ChannelClosed, UnexpectedMessage) as error:
                self._disconnect(channel, str(error))
                self._closing.wait(RECONNECT_S if self.problem is None else PROBLEM_RETRY_S)

    def _connect(self) -> MessageChannel | None:
        try:
            channel = MessageChannel(connect(self._address, send_timeout_s=SEND_TIMEOUT_S))
        except OSError:
            return None
        try:
            channel.send(self._hello)
        except ChannelClosed:
            return None
        return channel

    def _disconnect(self, channel: MessageChannel, why: str) -> None:
        channel.close()
        with self._condition:
            if self._channel is channel:
                self._channel = None
            self._sent.clear()
            self._condition.notify_all()
        if not self._closing.is_set():
            log.warning("inference is away: %s", why)
            self._measures.count("inference_disconnects_total")

    def _handle(self, channel: MessageChannel, message: object) -> None:
        match message:
            case DetectAnswer():
                self._on_detections(message)
            case PosesAnswer():
                self._on_poses(message)
            case ClipWanted():
                self._on_want(channel, message.track_id)
            case ScoresAnswer():
                self._on_scores(message)
            case ShadowAnswer():
                self._on_shadow(message)
            case PlanAdvice():
                self._plan = self._followed(message.plan)
            case Welcome():
                self._on_welcome(channel, message)
            case ModelProblem():
                self._on_problem(message.reason)
            case _:
                raise unexpected(message, "a stream's inference client")

    def _followed(self, plan: Plan) -> Plan:
        """A file that waits for every stage gives nothing up but the network that it is told to use."""
        if not self._patient:
            return plan
        never = plan.no_poses_ever
        hz = EVERYTHING.poses_hz if self._hello.poses and not never else 0.0
        why = plan.no_poses if never else ""
        return replace(EVERYTHING, tier=plan.tier, reason=plan.reason, poses_hz=hz, no_poses=why, no_poses_ever=never)

    def _on_welcome(self, channel: MessageChannel, welcome: Welcome) -> None:
        with self._condition:
            for network in welcome.networks:
                self._labels.pop(network, None)
                self._labels[network] = welcome.labels
            while len(self._labels) > MAX_NETWORKS:
                self._labels.pop(next(iter(self._labels)))
            self._channel = channel
            self._scene = None
            self.problem = None
            waiting, hello = list(self._clips.values()), self._hello
        if hello.model not in welcome.networks:  # changed while the connection was made
            _try_send(channel, ChangeNetworks(hello.model, hello.light))
        for clip in waiting:
            _try_send(channel, ClipOffer(clip.track_id, clip.model, gain=1.0))

    def _on_problem(self, reason: str) -> None:
        if reason != self.problem:
            log.error("inference: %s", reason)
        with self._condition:
            self.problem = reason
            self._sent.clear()  # no scores will come
            self._condition.notify_all()

    def _on_detections(self, answer: DetectAnswer) -> None:
        found = Detections(answer.boxes_xyxy, answer.confidences, answer.features)
        with self._condition:
            self._replies.clear()  # an answer that nobody waited for any more
            self._replies[answer.request] = found
            self._condition.notify_all()

    def _on_poses(self, answer: PosesAnswer) -> None:
        found = Poses(answer.boxes_xyxy, answer.confidences, answer.keypoints)
        with self._condition:
            asked = self._asked_poses.pop(answer.request, None)
            if asked is not None:
                self._poses.append(TimedPoses(asked[0], enlarged(found, asked[1])))
            self._condition.notify_all()

    def _on_want(self, channel: MessageChannel, track_id: int) -> None:
        with self._condition:
            clip = self._clips.pop(track_id, None)
            if clip is not None:
                self._sent[track_id] = clip
        _try_send(channel, NoClip(track_id) if clip is None else self._answer(clip))

    def _answer(self, clip: Clip) -> ClipAnswer:
        """What crosses the border; a scene's pictures cross once for all tracks that ask with them in turn."""
        known = clip.box is not None and clip.crops is self._scene
        if clip.box is not None:
            self._scene = clip.crops
        crops = None if known else clip.stack()
        return ClipAnswer(clip.track_id, clip.model, clip.first_sample, clip.filled, crops, clip.box)

    def _on_scores(self, answer: ScoresAnswer) -> None:
        track_id = answer.track_id
        with self._condition:
            clip = self._sent.pop(track_id, None)
            if clip is None:
                return
            labels = self._labels.get(clip.model)
            if labels is None:  # of a version before the last one
                self._measures.count("scores_outdated_total")
                return
            scores = ActionScores.of(clip, labels, answer.probabilities)
            self._scores.append(scores)
            if answer.shadow:
                self._shadowed[answer.shadow] = scores
                while len(self._shadowed) > MAX_SHADOWED:
                    self._shadowed.pop(next(iter(self._shadowed)))
            before = self._last_label_s.get(track_id)
            self._last_label_s[track_id] = clip.end_s
        self._measures.observe("label_latency", time.monotonic() - clip.received_s)
        if before is not None:
            self._measures.observe("label_interval", max(0.0, clip.end_s - before))

    def _on_shadow(self, answer: ShadowAnswer) -> None:
        with self._condition:
            told = self._shadowed.pop(answer.shadow, None)
            if told is not None:
                tried = replace(told, labels=answer.labels, probabilities=answer.probabilities, model=answer.model)
                self._judged.append((told, tried))


def _try_send(channel: MessageChannel, message: object) -> None:
    """A closed channel is noticed and mended by the receiving thread."""
    with contextlib.suppress(ChannelClosed):
        channel.send(message)
