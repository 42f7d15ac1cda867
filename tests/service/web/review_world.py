"""A camera with recordings and events for the pages that review them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from service.wire_messages import rfc3339
from tests.service.conftest import RunningApi, action
from tests.service.web.test_overlay import START_S, STARTED_AT, decoded, recorded_once
from tests.support.service import wait_for

DAY = "2026-05-04"  # of STARTED_AT, in Greenwich
AXIS_PX = 22  # pixels of the time axis above the first row


@dataclass(frozen=True, slots=True)
class Told:
    """An event as a stream process tells of it; its times are seconds after STARTED_AT."""

    id: str
    start: float
    end: float
    label: str = "push up"
    track_id: int = 7
    confidence: float = 0.8


def film(api: RunningApi, stream_id: str, *after_s: float, overlay: bool = False) -> None:
    """Recordings of ten seconds each, each so long after STARTED_AT."""
    folder = api.settings.recordings_dir.resolve() / stream_id
    for each in after_s:
        api.call(api.context.store.add_recording(recorded_once(folder, overlay, each)))


def tell(api: RunningApi, stream_id: str, events: Sequence[Told], began: float = STARTED_AT) -> None:
    """Published as a stream process publishes them: a beginning and an end each."""

    async def publish() -> None:
        for event in events:
            for kind, at in (("started", event.start), ("ended", event.end)):
                await api.context.hub.publish_action(message(event, stream_id, kind, began + at))
        await api.context.hub.flush()  # whoever asks next finds them

    api.call(publish())


def tell_beginning(api: RunningApi, stream_id: str, event: Told) -> None:
    """The event goes on."""
    api.call(api.context.hub.publish_action(message(event, stream_id, "started", STARTED_AT + event.start)))


def message(event: Told, stream_id: str, kind: str, at: float) -> dict[str, Any]:
    return action(
        event.id,
        kind,
        stream_id=stream_id,
        action=event.label,
        track_id=event.track_id,
        confidence=event.confidence,
        start_s=START_S + event.start,
        end_s=START_S + event.end if kind == "ended" else None,
        captured_at=rfc3339(at),
        model="surveillance",
    )


def gate(api: RunningApi, *events: Told, after_s: Sequence[float] = (0.0,)) -> str:
    """→ the id of a camera with recordings and events."""
    stream_id = str(api.add(name="Gate")["id"])
    film(api, stream_id, *after_s)
    tell(api, stream_id, events)
    return stream_id


def shown_event(page: Any, words: str) -> None:
    """Returns once the player has a picture of the event that is current."""
    page.locator("#inbox [aria-current=true]").get_by_text(words).wait_for()
    wait_for(lambda: page.evaluate(PLAYING)["ready"] >= 2, 20, "a picture is there")


PLAYING = """
() => {
  const video = document.querySelector("#stage .deck:not([hidden]) video");
  return { ready: video?.readyState ?? 0, at: video?.currentTime ?? -1, paused: video?.paused ?? true,
           rate: video?.playbackRate ?? 0, source: video?.getAttribute("src") ?? "" };
}
"""

LANES = """
async () => {
  for (const _ of [1, 2]) await new Promise(requestAnimationFrame);  // what was asked for until now is drawn
  const canvas = document.getElementById("lanes");
  return { url: canvas.toDataURL("image/png"), width: canvas.clientWidth, height: canvas.clientHeight,
           from: Number(canvas.dataset.from), to: Number(canvas.dataset.to) };
}
"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the lanes show: uint8 (H, W, 4), and which span of Unix time is how wide."""

    image: np.ndarray
    width: float
    start: float
    end: float

    def x(self, unix: float) -> float:
        return (unix - self.start) / (self.end - self.start) * self.width

    def coloured(self, low: float, high: float) -> int:
        """→ how many pixels between two times have a colour of their own: bars, no texts, lines or hatching."""
        part = self.image[AXIS_PX:, max(0, round(self.x(low))) : max(0, round(self.x(high)))]
        saturation = cv2.cvtColor(part[..., :3], cv2.COLOR_BGR2HSV)[..., 1]
        return int(((saturation > 90) & (part[..., 3] > 200)).sum())


def lanes(page: Any) -> Drawn:
    seen = page.evaluate(LANES)
    return Drawn(decoded(seen["url"]), seen["width"], seen["from"], seen["to"])
