"""Files that are no video, or no longer one, posted to the running service: each says what is wrong, it lives on."""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.media import jpeg, write_audio, write_video
from tests.support.service import SAMPLE, SAMPLE_URL, Service


def zero_length(path: Path) -> None:
    path.touch()


def cut_before_its_index(path: Path) -> None:
    """An MP4 whose index, at the end, never came: an upload that broke off."""
    path.write_bytes(write_video(path, frames=100).read_bytes()[:-5000])


def cut_in_the_middle(path: Path) -> None:
    """A Matroska file plays without its end, so this fails after pictures have come."""
    whole = write_video(path.with_suffix(".mkv"), frames=100).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def overwritten(path: Path) -> None:
    """The sample with its frames' bytes replaced by noise, and its index whole."""
    data = bytearray(SAMPLE.read_bytes())
    begin = data.index(b"mdat") + 4
    noise = np.random.default_rng(3).integers(0, 256, len(data) - begin - 20_000, dtype=np.uint8)
    data[begin : begin + len(noise)] = noise.tobytes()
    path.write_bytes(data)


def web_page(path: Path) -> None:
    path.write_text("<html><body>Please log in</body></html>" * 50)


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as packed:
        packed.write(SAMPLE, "street.mp4")


def noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(4).integers(0, 256, 50_000, dtype=np.uint8).tobytes())


def playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")


def concatenation(path: Path) -> None:
    path.write_text(f"ffconcat version 1.0\nfile '{SAMPLE}'\n")


def session_description(path: Path) -> None:
    path.write_text("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n")


def audio_only(path: Path) -> None:
    write_audio(path)


def larger_than_allowed(path: Path) -> None:
    """Really has pictures of 12 million pixels; 9.4 million are allowed by default."""
    write_video(path, frames=2, size_hw=(3000, 4000))


def declared_huge(side: int) -> Callable[[Path], None]:
    """A small Motion JPEG AVI whose header and every picture claim ``side`` × ``side`` pixels."""

    def write(path: Path) -> None:
        data = bytearray(write_video(path.with_suffix(".avi"), frames=3, codec="mjpeg").read_bytes())
        strf = data.index(b"strf") + 8  # a BITMAPINFOHEADER: its size, then width and height
        data[strf + 4 : strf + 12] = struct.pack("<ii", side, side)
        place = -1
        while (place := data.find(b"\xff\xc0\x00\x11\x08", place + 1)) >= 0:  # SOF0: then height and width
            data[place + 5 : place + 9] = struct.pack(">HH", side, side)
        path.write_bytes(data)

    return write


def broken_pictures(path: Path) -> None:
    """Motion JPEG where every picture ends after its head."""
    path.write_bytes(b"".join(jpeg(index)[:200] for index in range(40)))


# For every file: what the stream's code may be.
CORPUS: dict[str, tuple[Callable[[Path], Any], set[str]]] = {
    "zero_length.mp4": (zero_length, {"unreadable"}),
    "cut_before_its_index.mp4": (cut_before_its_index, {"unreadable"}),
    "cut_in_the_middle.webm": (cut_in_the_middle, {"ended"}),
    "overwritten.mp4": (overwritten, {"unreadable", "no_video"}),
    "web_page.mp4": (web_page, {"unreadable"}),
    "archive.mkv": (archive, {"unreadable"}),
    "noise.mp4": (noise, {"unreadable", "not_allowed"}),
    "playlist.mp4": (playlist, {"not_allowed", "unreadable"}),
    "concatenation.mp4": (concatenation, {"not_allowed", "unreadable"}),
    "session_description.sdp": (session_description, {"not_allowed", "unreadable"}),
    "audio_only.mp4": (audio_only, {"no_video"}),
    "larger_than_allowed.mp4": (larger_than_allowed, {"too_large"}),
    "declared_huge_16000.mpg": (declared_huge(16_000), {"too_large", "unreadable"}),
    "declared_huge_65500.mpg": (declared_huge(65_500), {"too_large", "unreadable", "no_video"}),
    "broken_pictures.mjpeg": (broken_pictures, {"unreadable", "no_video"}),
}


def place(service: Service, name: str) -> str:
    """Writes a file of the corpus into the media root. → its URL."""
    path = service.folder / name
    CORPUS[name][0](path)
    return path.as_uri()


def check_failed(service: Service, stream_id: str, name: str) -> None:
    stream = service.wait_state(stream_id, "failed", 60)
    assert stream["code"] in CORPUS[name][1], stream
    assert name in stream["reason"], stream
    assert len(stream["reason"]) > len(name) + 15  # a sentence about it
    for technical in ("Traceback", "Error", "errno", "None", "avcodec"):
        assert technical not in stream["reason"], stream


def check_alive(service: Service, inference_pid: int) -> None:
    for path in ("/healthz", "/readyz", "/v1/streams", "/metrics"):
        assert service.client.get(path).status_code == 200, path
    assert [process.pid for process in service.children("inference_process")] == [inference_pid]


@pytest.mark.parametrize("name", CORPUS)
def test_broken_file_fails_with_a_reason_and_the_service_lives(service: Service, name: str):
    (inference,) = service.children("inference_process")
    log_before = len(service.log())
    stream = service.add_stream(place(service, name))
    check_failed(service, stream["id"], name)
    check_alive(service, inference.pid)
    assert "Traceback" not in service.log()[log_before:]
    assert service.client.delete(f"/v1/streams/{stream['id']}").status_code == 204


@pytest.mark.exhaustive
def test_good_stream_beside_and_after_broken_ones_is_not_disturbed(service: Service):
    (inference,) = service.children("inference_process")
    with service.subscribe() as subscriber:
        good = service.add_stream(SAMPLE_URL)["id"]
        subscriber.wait("tracks", 60, stream_id=good)
        names = [name for name in CORPUS if name != "larger_than_allowed.mp4"][:8]  # the most streams there may be: 16
        broken = [(service.add_stream(place(service, name))["id"], name) for name in names]
        for stream_id, name in broken:
            check_failed(service, stream_id, name)
        heard = subscriber.wait("stream", 5, stream_id=broken[0][0], state="failed")
        assert heard["code"] == service.stream(broken[0][0])["code"]
        last = max(message["frame_index"] for message in subscriber.of_type("tracks", stream_id=good))
        subscriber.wait("tracks", 30, lambda message: message["frame_index"] > last + 20, stream_id=good)
        assert service.stream(good)["restarts"] == 0
    check_alive(service, inference.pid)


@pytest.mark.parametrize("name", ["missing.mp4", "", "..%2f..%2fetc%2fpasswd", "folder.mp4"])
def test_file_that_is_none_is_refused_when_it_is_posted(service: Service, name: str):
    (service.folder / "folder.mp4").mkdir(exist_ok=True)
    answer = service.client.post("/v1/streams", json={"url": f"{service.folder.as_uri()}/{name}"})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "file" in answer.json()["detail"]
