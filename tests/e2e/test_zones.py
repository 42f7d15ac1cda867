"""Zones over real processes: told to a stream that runs, without a restart, and known again after its process died."""

import io
from typing import Any

import av
import numpy as np

from tests.support.service import SAMPLE_URL, Service, wait_for

LEFT = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]
RIGHT = [[1 - x, y] for x, y in LEFT]


def put(service: Service, stream_id: str, *zones: tuple[str, list[list[float]]]) -> None:
    body = {"zones": [{"name": name, "polygon": polygon} for name, polygon in zones]}
    answer = service.client.put(f"/v1/streams/{stream_id}/zones", json=body)
    assert answer.status_code == 200, answer.text


def in_zones(message: dict[str, Any]) -> bool:
    return any(track["zones"] for track in message["tracks"])


def test_zones_reach_a_running_stream_and_outlive_its_process(quick_service: Service):
    service = quick_service
    stream_id = service.add_stream(SAMPLE_URL)["id"]
    with service.subscribe() as subscriber:
        subscriber.wait("tracks", 60, lambda m: len(m["tracks"]) >= 2, stream_id=stream_id)
        (process,) = service.children("stream_process")
        put(service, stream_id, ("left", LEFT), ("right", RIGHT))
        seen = subscriber.wait("tracks", 30, in_zones, stream_id=stream_id)
        check_sides(seen)
        presence = subscriber.wait("presence", 15, lambda m: set(m["zones"]) == {"left", "right"}, stream_id=stream_id)
        assert presence["people"] >= presence["zones"]["left"]["people"] == len(presence["zones"]["left"]["tracks"])
        assert [p.pid for p in service.children("stream_process")] == [process.pid]
        assert service.stream(stream_id)["restarts"] == 0

        process.kill()
        subscriber.wait("stream", 10, stream_id=stream_id, state="reconnecting")
        count = len(subscriber.messages)
        wait_for(
            lambda: any(m["type"] == "tracks" and in_zones(m) for _, m in subscriber.messages[count:]), 60, "zones"
        )
        put(service, stream_id)
        subscriber.wait("presence", 15, lambda m: m["seq"] > presence["seq"] and m["zones"] == {}, stream_id=stream_id)
    check_still(service, stream_id)


def check_sides(message: dict[str, Any]) -> None:
    """Whoever is well within one side is not in the other; membership lags by three frames at the middle alone."""
    for track in message["tracks"]:
        x = (track["box"][0] + track["box"][2]) / 2
        if abs(x - 0.5) > 0.15:
            assert track["zones"] in ([], ["left" if x < 0.5 else "right"])


def check_still(service: Service, stream_id: str) -> None:
    """The picture as it came differs from the one with overlay in the clock's corner."""
    pictures = []
    for overlay in ("true", "false"):
        answer = service.client.get(f"/v1/streams/{stream_id}/snapshot.jpg", params={"overlay": overlay})
        assert answer.status_code == 200, answer.text
        with av.open(io.BytesIO(answer.content), format="mjpeg") as picture:
            pictures.append(next(picture.decode(video=0)).to_ndarray(format="rgb24"))
    drawn, plain = pictures
    assert drawn.shape == plain.shape
    corner = (slice(0, 12), slice(-60, None))
    assert np.median(drawn[corner]) < np.median(plain[corner]) - 20  # the plate behind the clock is dark
