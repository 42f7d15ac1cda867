"""One camera's process: source, tracker, buffers, smoothing, overlay, recording.

Started by the supervisor as ``python -m service.processes.stream_process FD``. The socket ``FD`` brings the
configuration and commands (``stop``, ``watch``), and carries reports back: ``state``, ``tracks``, ``actions``,
``picture``, ``segment``, ``problem`` and, once a second, ``stats``.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.actions import ActionSmoother, SmootherConfig
from pipeline.clips import ClipConfig
from pipeline.entities import ActionEvent, Frame, FrameResult
from pipeline.errors import SourceError, SourceUrlError
from pipeline.scene_clips import clip_buffer
from pipeline.source import SourceOptions, SourceState, VideoSource
from pipeline.source_url import SourcePolicy, SourceUrl
from pipeline.stride import StrideController
from pipeline.tracker import PersonTracker, TrackerConfig
from service.counters import Measures, Rate
from service.ids import new_id
from service.processes.child import ControlLink, leave, start_child
from service.processes.inference_client import InferenceClient
from service.recording.presenter import Presenter
from service.stream import Stages, end_actions, run_stream
from service.wire_messages import to_action_message, to_tracks_message

log = logging.getLogger(__name__)


class LiveSink:
    """Sends results to the supervisor and hands them to the presenter (overlay, recording, live picture)."""

    def __init__(self, link: ControlLink, presenter: Presenter, inference: InferenceClient, measures: Measures) -> None:
        self._link = link
        self._presenter = presenter
        self._inference = inference
        self._measures = measures
        self._stream_id = str(link.config["stream_id"])
        self._buffer_size = int(link.config["clip"]["length"])
        self._period_s = 1.0 / float(link.config["tracks_hz"])
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
            self._link.latest("tracks", {"message": message})
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
            self._link.send("action", {"message": message})
        return messages

    def _forget_gone(self, result: FrameResult) -> None:
        present = {track.track_id for track in result.tracks}
        for track_id in self._known - present:
            self._inference.forget(track_id)
        self._known = present


class StreamProcess:
    """Wires the parts of one stream together from the supervisor's configuration."""

    def __init__(self, link: ControlLink) -> None:
        config = link.config
        self._link = link
        self._measures = Measures()
        self._state = SourceState.CONNECTING
        self._running_s = 0.0  # monotonic; when frames began to arrive
        self._url = source_url(config)
        self._source = VideoSource(self._url, source_options(config), self._on_state)
        self._inference = InferenceClient(
            Path(config["inference_socket"]),
            config["stream_id"],
            config["model"],
            self._measures,
            patient=is_unhurried(config),
        )
        self._presenter = Presenter(config, link, self._measures, patient=is_unhurried(config))
        self._stages = build_stages(config, self._measures)
        self._sink = LiveSink(link, self._presenter, self._inference, self._measures)
        self._rate_in, self._rate_out = Rate(), Rate()

    def run(self) -> int:
        """Until the source ends for good or the supervisor says stop. Returns the exit status."""
        self._link.on("watch", lambda message: self._presenter.watch(float(message.fields["seconds"])))
        self._link.listen()
        threading.Thread(target=self._wait_for_stop, name="stop", daemon=True).start()
        threading.Thread(target=self._report_loop, name="report", daemon=True).start()
        try:
            run_stream(self._source, self._inference, self._stages, self._sink)
        except SourceError as error:
            self._report_state(SourceState.FAILED, error.code, str(error))
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
        self._link.latest("stats", self._stats())
        self._link.flush()

    def _on_state(self, state: SourceState, code: str | None, reason: str) -> None:
        if state in (SourceState.RECONNECTING, SourceState.FAILED):
            end_actions(self._stages, self._sink)
            self._presenter.break_off()
        self._report_state(state, code, reason)

    def _report_state(self, state: SourceState, code: str | None, reason: str) -> None:
        log.info("stream %s, %s: %s, %s", self._link.config["stream_id"], self._url.redacted, state.value, reason)
        if state is SourceState.RUNNING:
            self._running_s = time.monotonic()
        self._state = state
        self._link.send("state", {"state": state.value, "code": code, "reason": reason})

    def _report_loop(self) -> None:
        while not self._link.stopped.wait(1.0):
            self._link.latest("stats", self._stats())

    def _stats(self) -> dict[str, Any]:
        """The stream's gauges and everything measured, for the API's status and metrics."""
        source, now = self._source.stats(), time.monotonic()
        last = self._sink.last
        measures = self._measures
        measures.set_counter("frames_in_total", source.frames_decoded)
        measures.set_counter("drops_total:source", source.frames_dropped)
        self._presenter.report(measures)
        measures.set_counter("drops_total:clip_buffer", self._stages.clip_buffer.skipped)
        measures.set_counter("drops_total:tracks_message", self._link.replaced)
        measures.gauge("source_stuck_threads", source.stuck)
        measures.set_counter("corrupt_packets_total", source.corrupt)
        measures.set_counter("source_reconnects_total", source.reconnects)
        measures.gauge("clip_queue_depth", self._inference.waiting)
        measures.gauge("detection_stride", self._stages.stride.stride)
        return {
            "state": self._state.value,
            "fps_in": self._rate_in.update(source.frames_decoded, now),
            "fps_out": self._rate_out.update(measures.value("frames_out_total"), now),
            "stride": self._stages.stride.stride,
            "tracks": len(last.tracks) if last else 0,
            "frame_age_s": now - max(last.frame.received_s, self._running_s) if last else None,
            "size_hw": list(last.frame.size_hw) if last else None,
            "label_age_s": newest_label_age_s(last, now),
            "next_track_id": self._stages.tracker.next_track_id,
            "recording": self._presenter.recording,
            "inference": self._inference.connected,
            "problem": self._inference.problem,
            "measures": measures.snapshot(),
        }


def newest_label_age_s(result: FrameResult | None, now_s: float) -> float | None:
    """How old the oldest current label is: media time from its clip's end to the frame, plus the frame's own age."""
    if result is None or not result.labels:
        return None
    shown = [label.end_s for label in result.labels.values()]
    return max(0.0, result.frame.time_s - min(shown)) + max(0.0, now_s - result.frame.received_s)


def source_url(config: Mapping[str, Any]) -> SourceUrl:
    policy = SourcePolicy(
        media_roots=tuple(Path(root) for root in config["media_roots"]),
        hls_hosts=frozenset(config["hls_hosts"]),
        max_pixels=int(config["max_pixels"]),
    )
    return SourceUrl.parse(config["url"], policy)


def source_options(config: Mapping[str, Any]) -> SourceOptions:
    chosen = {key: config[key] for key in ("transport", "pace", "loop") if config.get(key) is not None}
    return SourceOptions(max_pixels=int(config["max_pixels"]), **chosen)


def is_unhurried(config: Mapping[str, Any]) -> bool:
    """A file that is not paced: it waits for every stage, and nothing of it is dropped."""
    url = source_url(config)
    pace = url.options.pace or config.get("pace") or "fast"
    return not url.is_live and pace != "realtime"


def build_stages(config: Mapping[str, Any], measures: Measures) -> Stages:
    thresholds = config.get("actions") or None
    return Stages(
        tracker=PersonTracker(
            TrackerConfig.starting_at(float(config["track_confidence"])), first_track_id=int(config["first_track_id"])
        ),
        clip_buffer=clip_buffer(ClipConfig(**config["clip"])),
        smoother=ActionSmoother(SmootherConfig(thresholds=thresholds), new_event_id=lambda: new_id("evt")),
        stride=StrideController(adaptive=not is_unhurried(config)),
        measures=measures,
    )


def main(argv: list[str]) -> int:
    """Entry point; see the module's text. Returns the exit status."""
    link = start_child(int(argv[1]))
    try:
        return StreamProcess(link).run()
    except SourceUrlError as error:  # what was allowed when the stream was added is so no more
        link.send("state", {"state": "failed", "code": "not_allowed", "reason": str(error)})
        link.flush()
        return 0
    except Exception:
        log.exception("stream %s failed", link.config.get("stream_id"))
        return 1


if __name__ == "__main__":
    leave(main(sys.argv))
