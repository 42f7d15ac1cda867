"""One camera's process: source, tracker, buffers, smoothing, overlay, recording.

Started by the supervisor as ``python -m service.processes.stream_process FD``. The socket ``FD`` brings the setup and
commands, and carries reports back (``messages``).
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.entities import ActionEvent, Frame, FrameResult, TrackState
from pipeline.errors import SourceError, SourceUrlError
from pipeline.sources.url import SourcePolicy, SourceUrl
from pipeline.sources.video_source import SourceOptions, SourceState, SourceStats, VideoSource
from service.budget.plan import StreamLoad
from service.counters import Measures, Rate
from service.processes.child import ControlLink, leave, start_child
from service.processes.inference_client import InferenceClient
from service.processes.inference_messages import Hello
from service.processes.messages import (
    ActionReport,
    Picture,
    RecordingSetup,
    SegmentReport,
    SourceSetup,
    StateReport,
    StatsReport,
    StreamSetup,
    TracksReport,
    Trouble,
    Watch,
)
from service.recording.presenter import Presenter, RecordingPlan
from service.recording.recorder import RecorderConfig
from service.stages import build_stages
from service.storage.segment import Segment
from service.stream import end_actions, run_stream, why_no_labels
from service.stream_state import StreamState
from service.wire_messages import to_action_message, to_tracks_message

log = logging.getLogger(__name__)


class LiveSink:
    """Sends results to the supervisor and hands them to the presenter (overlay, recording, live picture)."""

    def __init__(
        self, link: ControlLink[StreamSetup], presenter: Presenter, inference: InferenceClient, measures: Measures
    ) -> None:
        self._link = link
        self._presenter = presenter
        self._inference = inference
        self._measures = measures
        self._stream_id = link.setup.stream_id
        self._buffer_size = link.setup.stages.clip.length
        self._period_s = 1.0 / link.setup.tracks_hz
        self._next_tracks_s = 0.0
        self._known: set[int] = set()
        self.last: FrameResult | None = None

    def publish(self, result: FrameResult) -> None:
        self.last = result
        messages = self._events_out(result.events)
        now = time.monotonic()
        if now >= self._next_tracks_s:
            self._next_tracks_s = max(self._next_tracks_s + self._period_s, now)
            message = to_tracks_message(self._stream_id, result, self._buffer_size)
            self._link.latest(TracksReport(message))
            messages.append(message)
        self._forget_gone(result)
        self._presenter.show(result, messages)
        self._measures.count("frames_out_total")
        self._measures.observe("frame_age", time.monotonic() - result.frame.received_s)

    def publish_events(self, events: Sequence[ActionEvent], frame: Frame) -> None:
        self._presenter.note(self._events_out(events))

    def _events_out(self, events: Sequence[ActionEvent]) -> list[dict[str, Any]]:
        messages = [to_action_message(self._stream_id, event) for event in events]
        for message in messages:
            self._link.send(ActionReport(message))
        return messages

    def _forget_gone(self, result: FrameResult) -> None:
        present = {track.track_id for track in result.tracks}
        for track_id in self._known - present:
            self._inference.forget(track_id)
        self._known = present


class LinkAudience:
    """The presenter's reports, as messages to the supervisor."""

    def __init__(self, link: ControlLink[StreamSetup]) -> None:
        self._link = link

    def picture(self, jpeg: NDArray[np.uint8]) -> None:
        self._link.latest(Picture(jpeg))

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
        self._source = VideoSource(self._url, source_options(setup.source), self._on_state)
        self._inference = InferenceClient(
            setup.inference,
            Hello(setup.stream_id, setup.model, setup.stages.light_model, setup.tier),
            self._measures,
            patient=patient,
        )
        self._presenter = Presenter(
            LinkAudience(link), self._measures, setup.stages.clip.length, recording_plan(setup.recording), patient
        )
        self._stages = build_stages(replace(setup.stages, adaptive=not patient), self._measures)
        self._sink = LiveSink(link, self._presenter, self._inference, self._measures)
        self._rate_in, self._rate_out = Rate(), Rate()

    def run(self) -> int:
        """Until the source ends for good or the supervisor says stop. Returns the exit status."""
        self._link.on(Watch, lambda watch: self._presenter.watch(watch.seconds))
        self._link.listen()
        threading.Thread(target=self._wait_for_stop, name="stop", daemon=True).start()
        threading.Thread(target=self._report_loop, name="report", daemon=True).start()
        try:
            run_stream(self._source, self._inference, self._stages, self._sink)
        except SourceError as error:
            self._report_state(StreamState.FAILED, error.code, str(error))
        finally:
            self._close()
        return self._link.exit_status

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
    )


def is_unhurried(url: SourceUrl, setup: SourceSetup) -> bool:
    """A file that is not paced: it waits for every stage, and nothing of it is dropped."""
    return not url.is_live and (url.options.pace or setup.pace) != "realtime"


def recording_plan(setup: RecordingSetup | None) -> RecordingPlan | None:
    if setup is None:
        return None
    config = RecorderConfig(segment_s=setup.segment_s, min_free_bytes=setup.min_free_bytes)
    return RecordingPlan(setup.folder, config)


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
