"""One camera's process: source, tracker, buffers, smoothing, overlay, recording.

Started by the supervisor as ``python -m service.processes.stream_process FD``. The socket ``FD`` brings the setup and
commands, and carries reports back (``messages``).
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.entities import ActionEvent, Frame, FrameResult, TrackState, Zone
from pipeline.errors import SourceError, SourceUrlError
from pipeline.memory import give_memory_back, set_apart
from pipeline.sources.tape import CodedTape
from pipeline.sources.url import SourcePolicy, SourceUrl
from pipeline.sources.video_source import SourceOptions, SourceState, SourceStats, VideoSource
from service.budget.plan import StreamLoad
from service.counters import Measures, Rate
from service.processes.child import ControlLink, leave, start_child
from service.processes.inference_client import InferenceClient
from service.processes.inference_messages import Hello
from service.processes.messages import (
    ActionReport,
    LiveReport,
    Picture,
    PresenceReport,
    RecordingSetup,
    RepetitionReport,
    SegmentReport,
    SetZones,
    SourceSetup,
    StateReport,
    StatsReport,
    Still,
    StreamSetup,
    TracksReport,
    Trouble,
    WantStill,
    Watch,
    WatchLive,
)
from service.processes.presence import PresenceTeller
from service.processes.version_follower import VersionFollower
from service.processes.version_messages import UseModel
from service.recording.presenter import Presenter, RecordingPlan
from service.recording.recorder import RecorderConfig
from service.stages import build_stages
from service.storage.segment import Segment
from service.stream import end_actions, run_stream, why_no_labels
from service.stream_state import StreamState
from service.wire_messages import to_action_message, to_repetition_message, to_tracks_message

log = logging.getLogger(__name__)


class LiveSink:
    """Sends results to the supervisor and hands them to the presenter (overlay, recording, live picture)."""

    def __init__(
        self,
        link: ControlLink[StreamSetup],
        presenter: Presenter,
        inference: InferenceClient,
        measures: Measures,
        version: VersionFollower,
    ) -> None:
        self._link = link
        self._presenter = presenter
        self._inference = inference
        self._measures = measures
        self._stream_id = link.setup.stream_id
        self._version = version
        self._period_s = 1.0 / link.setup.tracks_hz
        self._next_tracks_s = 0.0
        self._presence = PresenceTeller(self._stream_id)
        self._known: set[int] = set()
        self.last: FrameResult | None = None

    def publish(self, result: FrameResult) -> None:
        self.last = result
        messages = [*self._events_out(result.events), *self._repetitions_out(result)]
        now = time.monotonic()
        due = now >= self._next_tracks_s
        if due or self._presenter.recording != "off":  # a recording has those of every frame
            messages.append(to_tracks_message(self._stream_id, result, self._version.buffer_size))
        if due:
            self._next_tracks_s = max(self._next_tracks_s + self._period_s, now)
            self._link.latest(TracksReport(messages[-1]))
        self._tell_presence(result)
        self._version.see(result)
        self._forget_gone(result)
        self._presenter.show(result, messages)
        self._measures.count("frames_out_total")
        self._measures.observe("frame_age", time.monotonic() - result.frame.received_s)

    def publish_events(self, events: Sequence[ActionEvent], frame: Frame) -> None:
        self._version.ended(events)
        self._presenter.note(self._events_out(events))

    def _events_out(self, events: Sequence[ActionEvent]) -> list[dict[str, Any]]:
        messages = [to_action_message(self._stream_id, event) for event in events]
        for message in messages:
            self._link.send(ActionReport(message))
        return messages

    def _repetitions_out(self, result: FrameResult) -> list[dict[str, Any]]:
        messages = [to_repetition_message(self._stream_id, each) for each in result.repetitions]
        for message in messages:
            self._link.send(RepetitionReport(message))
        return messages

    def _tell_presence(self, result: FrameResult) -> None:
        message = self._presence.due(result)
        if message is not None:
            self._link.send(PresenceReport(message))

    def _forget_gone(self, result: FrameResult) -> None:
        present = {track.track_id for track in result.tracks}
        for track_id in self._known - present:
            self._inference.forget(track_id)
        self._known = present


class LinkAudience:
    """The presenter's reports, as messages to the supervisor. ``buffer_size`` → that of the network that serves."""

    def __init__(self, link: ControlLink[StreamSetup], buffer_size: Callable[[], int]) -> None:
        self._link = link
        self._buffer_size = buffer_size

    def picture(self, jpeg: NDArray[np.uint8]) -> None:
        self._link.latest(Picture(jpeg))

    def still(self, jpeg: NDArray[np.uint8]) -> None:
        self._link.latest(Still(jpeg))

    def live(self, jpeg: NDArray[np.uint8], result: FrameResult) -> None:
        message = to_tracks_message(self._link.setup.stream_id, result, self._buffer_size())
        self._link.latest(LiveReport(jpeg, message))

    def segment(self, segment: Segment) -> None:
        self._link.send(SegmentReport(segment))

    def trouble(self, reason: str) -> None:
        self._link.send(Trouble("recorder", reason))

    def fail(self, reason: str) -> None:
        self._link.fail(reason)


class StreamProcess:
    """Wires the parts of one stream together as the supervisor's setup says."""

    def __init__(self, link: ControlLink[StreamSetup]) -> None:
        setup = link.setup
        self._link = link
        self._measures = Measures()
        self._state = StreamState.CONNECTING
        self._running_s = 0.0  # monotonic; when frames began to arrive
        self._url = source_url(setup.source)
        patient = is_unhurried(self._url, setup.source)
        tape = CodedTape() if setup.recording is not None and not setup.recording.overlay else None
        options = replace(source_options(setup.source), keep_coded=tape is not None)
        self._source = VideoSource(self._url, options, self._on_state, tape)
        self._inference = InferenceClient(
            setup.inference,
            hello(setup),
            self._measures,
            patient=patient,
        )
        self._presenter = Presenter(
            LinkAudience(link, self._buffer_size),
            self._measures,
            self._buffer_size,
            recording_plan(setup.recording, tape),
            patient=not self._url.is_live,  # a paced file catches up in bursts, which no encoder follows
        )
        self._stages = build_stages(replace(setup.stages, adaptive=not patient), self._measures)
        self._set_zones(setup.zones)
        self._version = VersionFollower(UseModel(setup.stages, setup.shadow), self._stages, self._inference, link.send)
        self._sink = LiveSink(link, self._presenter, self._inference, self._measures, self._version)
        self._rate_in, self._rate_out = Rate(), Rate()

    def run(self) -> int:
        """Until the source ends for good or the supervisor says stop. Returns the exit status."""
        self._link.on(Watch, lambda watch: self._presenter.watch(watch.seconds))
        self._link.on(WatchLive, lambda watch: self._presenter.live.watch(watch.seconds, watch.full))
        self._link.on(WantStill, lambda wish: self._presenter.want_still(wish.seconds))
        self._link.on(SetZones, lambda change: self._set_zones(change.zones))
        self._link.on(UseModel, self._version.use)
        set_apart()
        self._link.tidy = give_memory_back
        self._link.listen()
        threading.Thread(target=self._wait_for_stop, name="stop", daemon=True).start()
        threading.Thread(target=self._report_loop, name="report", daemon=True).start()
        try:
            run_stream(self._version.between(self._source), self._inference, self._stages, self._sink)
        except SourceError as error:
            self._report_state(StreamState.FAILED, error.code, str(error))
        finally:
            self._close()
        return self._link.exit_status

    def _buffer_size(self) -> int:
        return self._version.buffer_size

    def _set_zones(self, zones: tuple[Zone, ...]) -> None:
        """Counts from the next frame on; called by the thread that hears the supervisor."""
        self._stages.zones.zones = zones

    def _wait_for_stop(self) -> None:
        self._link.stopped.wait()
        self._inference.close()  # first: a file's frame may be waiting for it
        self._source.stop()

    def _close(self) -> None:
        self._presenter.close()
        self._inference.close()
        self._link.latest(self._stats())
        self._link.flush()

    def _on_state(self, state: SourceState, code: str | None, reason: str) -> None:
        if state in (SourceState.RECONNECTING, SourceState.FAILED):
            end_actions(self._stages, self._sink)
            self._presenter.break_off()
            give_memory_back()
        self._report_state(StreamState(state.value), code, reason)

    def _report_state(self, state: StreamState, code: str | None, reason: str) -> None:
        log.info("stream %s, %s: %s, %s", self._link.setup.stream_id, self._url.redacted, state.value, reason)
        if state is StreamState.RUNNING:
            self._running_s = time.monotonic()
        self._state = state
        self._link.send(StateReport(state, code, reason))

    def _report_loop(self) -> None:
        while not self._link.stopped.wait(1.0):
            stats = self._stats()
            self._link.latest(stats)
            self._inference.report(self._load(stats))

    def _load(self, stats: StatsReport) -> StreamLoad:
        last = self._sink.last
        people = 0 if last is None else sum(track.state is TrackState.CONFIRMED for track in last.tracks)
        return StreamLoad(stats.fps_in, people, min(people, self._stages.turns.settled), stats.stride)

    def _stats(self) -> StatsReport:
        """The stream's gauges and everything measured, for the API's status and metrics."""
        source, now = self._source.stats(), time.monotonic()
        last = self._sink.last
        self._measure(source)
        return StatsReport(
            state=self._state,
            next_track_id=self._stages.tracker.next_track_id,
            fps_in=self._rate_in.update(source.frames_decoded, now),
            fps_out=self._rate_out.update(self._measures.value("frames_out_total"), now),
            stride=self._stages.stride.stride,
            tracks=len(last.tracks) if last else 0,
            frame_age_s=now - max(last.frame.received_s, self._running_s) if last else None,
            size_hw=last.frame.size_hw if last else None,
            label_age_s=newest_label_age_s(last, now),
            recording=self._presenter.recording,
            inference=self._inference.connected,
            problem=self._inference.problem,
            plan=self._inference.plan(),
            clock=source.clock,
            quiet_s=source.quiet_s,
            labels=why_no_labels(self._stages, source.fps),
            model=self._version.model,
            measures=self._measures.snapshot(),
        )

    def _measure(self, source: SourceStats) -> None:
        """What the parts count themselves, put beside what is counted here."""
        measures = self._measures
        measures.set_counter("frames_in_total", source.frames_decoded)
        measures.set_counter("drops_total:source", source.frames_dropped)
        self._presenter.report(measures)
        measures.set_counter("drops_total:clip_buffer", self._stages.clips.skipped)
        measures.set_counter("clips_not_worth_it_total", self._stages.turns.left_out)
        measures.set_counter("drops_total:tracks_message", self._link.replaced)
        measures.gauge("source_stuck_threads", source.stuck)
        measures.set_counter("corrupt_packets_total", source.corrupt)
        measures.set_counter("source_reconnects_total", source.reconnects)
        measures.gauge("clip_queue_depth", self._inference.waiting)
        measures.gauge("detection_stride", self._stages.stride.stride)


def newest_label_age_s(result: FrameResult | None, now_s: float) -> float | None:
    """How old the oldest current label is: media time from its clip's end to the frame, plus the frame's own age."""
    if result is None or not result.labels:
        return None
    shown = [label.end_s for label in result.labels.values()]
    return max(0.0, result.frame.time_s - min(shown)) + max(0.0, now_s - result.frame.received_s)


def hello(setup: StreamSetup) -> Hello:
    """What the stream wants of the inference process."""
    stages = setup.stages
    return Hello(setup.stream_id, setup.model, stages.light_model, setup.tier, poses=stages.form is not None)


def source_url(setup: SourceSetup) -> SourceUrl:
    """Raises SourceUrlError for what may not be read (any more)."""
    policy = SourcePolicy(
        media_roots=setup.media_roots, hls_hosts=frozenset(setup.hls_hosts), max_pixels=setup.max_pixels
    )
    return SourceUrl.parse(setup.url, policy)


def source_options(setup: SourceSetup) -> SourceOptions:
    return SourceOptions(
        transport=setup.transport,
        pace=setup.pace,
        loop=setup.loop,
        max_pixels=setup.max_pixels,
        snapshot_s=setup.snapshot_s,
        tls_verify=setup.tls_verify,
        ca_file=setup.camera_ca,
    )


def is_unhurried(url: SourceUrl, setup: SourceSetup) -> bool:
    """A file that is not paced: it waits for every stage, and nothing of it is dropped."""
    return not url.is_live and (url.options.pace or setup.pace) != "realtime"


def recording_plan(setup: RecordingSetup | None, tape: CodedTape | None = None) -> RecordingPlan | None:
    if setup is None:
        return None
    config = RecorderConfig(segment_s=setup.segment_s, min_free_bytes=setup.min_free_bytes)
    return RecordingPlan(setup.folder, config, setup.overlay, tape)


def main(argv: list[str]) -> int:
    """Entry point; see the module's text. Returns the exit status."""
    link = start_child(int(argv[1]), StreamSetup)
    try:
        return StreamProcess(link).run()
    except SourceUrlError as error:  # what was allowed when the stream was added is so no more
        link.send(StateReport(StreamState.FAILED, "not_allowed", str(error)))
        link.flush()
        return 0
    except Exception:
        log.exception("stream %s failed", link.setup.stream_id)
        return 1


if __name__ == "__main__":
    leave(main(sys.argv))
