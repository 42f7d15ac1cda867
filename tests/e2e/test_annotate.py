"""``actoscope annotate`` as a person runs it: every frame, valid files after Ctrl-C, one clear line when it cannot."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import av
import pytest

from tests.e2e.conftest import CACHE
from tests.support.http_camera import HttpCamera
from tests.support.media import write_audio
from tests.support.places import REPOSITORY
from tests.support.service import SAMPLE, own_environment, wait_for

FRAMES = 40  # of the excerpt: four seconds
HOP = "64"  # few clips are classified, so that the test is about files


def excerpt(path: Path, frames: int = FRAMES) -> Path:
    """The first frames of the sample, packets as they are. → path."""
    with av.open(str(SAMPLE)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.pts is not None and frames > 0:
                packet.stream = stream
                target.mux(packet)
                frames -= 1
    return path


def start(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "service.cli", "annotate", *map(str, arguments), "--hop", HOP]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command,
        env=own_environment(folder, CACHE),
        cwd=REPOSITORY,
        stdout=pipe,
        stderr=pipe,
        text=True,
        errors="replace",
    )


def run(folder: Path, *arguments: object) -> tuple[int, str, str]:
    """→ exit status, stdout, stderr."""
    process = start(folder, *arguments)
    try:
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    return process.returncode, out, err


def times(path: Path) -> list[float]:
    """The time of every frame that decodes, in seconds."""
    with av.open(str(path)) as container:
        return [float(frame.time) for frame in container.decode(video=0)]


def messages(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def check_events(path: Path, frames: int) -> list[dict]:
    """One ``tracks`` message a frame, in order; whatever started ended. → the ``tracks`` messages."""
    heard = messages(path)
    tracks = [message for message in heard if message["type"] == "tracks"]
    assert [message["frame_index"] for message in tracks] == list(range(frames))
    kinds = {kind: [m["event_id"] for m in heard if m.get("kind") == kind] for kind in ("started", "ended")}
    assert sorted(kinds["started"]) == sorted(kinds["ended"])
    assert len(set(kinds["started"])) == len(kinds["started"])
    return tracks


def test_every_frame_is_in_the_output_at_its_time_and_in_the_messages(tmp_path: Path):
    video = excerpt(tmp_path / "street.mp4")
    output, events = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    zones = tmp_path / "zones.json"
    zones.write_text('{"zones": [{"name": "left", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}]}')
    status, out, err = run(tmp_path, video, "--output", output, "--events", events, "--zones", zones)
    assert status == 0, err
    assert f"{FRAMES} frames" in out and str(output) in out and str(events) in out
    assert f"{FRAMES}/{FRAMES}" in err  # the progress bar knows how many there are
    assert times(output) == pytest.approx(times(video), abs=0.001)
    tracks = check_events(events, FRAMES)
    assert any(message.get("kind") == "started" for message in messages(events)), "no action was told of"
    assert [message["time_s"] for message in tracks] == pytest.approx(times(video), abs=0.002)
    last = tracks[-1]["tracks"]
    assert len(last) >= 3
    assert any(track["action"] for track in last)
    assert max(track["buffer"] for track in last) == 64
    sure = [track for track in last if track["state"] == "confirmed"]
    middles = {(track["box"][0] + track["box"][2]) / 2: track["zones"] for track in sure}
    sides = {(x < 0.5, tuple(zones)) for x, zones in middles.items() if abs(x - 0.5) > 0.1}
    assert sides == {(True, ("left",)), (False, ())}, "whoever is on the left is in the zone, and nobody else"
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["data", "out.jsonl", "out.mp4", "street.mp4", "zones.json"]


@pytest.mark.exhaustive
def test_output_lies_beside_the_video_when_none_is_named(tmp_path: Path):
    video = excerpt(tmp_path / "street.mp4", frames=3)
    status, _, err = run(tmp_path, video, "--quiet")
    assert (status, err) == (0, "")
    assert len(times(tmp_path / "street.actoscope.mp4")) == 3


def test_camera_is_annotated_until_the_time_asked_for(tmp_path: Path):
    events = tmp_path / "out.jsonl"
    with HttpCamera(tmp_path, pictures_a_second=10) as camera:
        output = REPOSITORY / f"127.0.0.1-{camera.port}.actoscope.mp4"
        try:
            url = camera.url("/mjpeg", "viewer:c4n4ry")
            status, out, err = run(tmp_path, url, "--events", events, "--seconds", 1.5, "--quiet")
            assert (status, err) == (0, "")
            assert output.name in out and "c4n4ry" not in out
            shown = times(output)
        finally:
            output.unlink(missing_ok=True)
    assert 1 <= len(shown) <= 20
    assert shown[-1] < 1.5
    assert len([message for message in messages(events) if message["type"] == "tracks"]) == len(shown)
    assert "c4n4ry" not in events.read_text()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://viewer:c4n4ry@127.0.0.1:9/cam", "nothing accepts connections at 127.0.0.1:9"),
        ("usb:219", "there is no /dev/video219"),
        ("ftp://127.0.0.1/v.mp4", "expected a URL with one of the schemes rtsp"),
        ("file:///nowhere/v.mp4", "there is none at this path"),
    ],
)
def test_camera_that_cannot_be_read_gives_one_line(tmp_path: Path, url: str, reason: str):
    status, out, err = run(tmp_path, url, "--output", tmp_path / "out.mp4")
    assert (status, out) == (1, "")
    assert err.startswith("actoscope: ") and err.count("\n") == 1, err
    assert reason in err and "c4n4ry" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.exhaustive
def test_file_url_is_annotated_as_a_file(tmp_path: Path):
    video = excerpt(tmp_path / "street.mp4", frames=3)
    status, _, err = run(tmp_path, video.as_uri() + "?pace=fast", "--quiet")
    assert (status, err) == (0, "")
    assert len(times(tmp_path / "street.actoscope.mp4")) == 3


@pytest.mark.exhaustive
def test_ctrl_c_leaves_valid_files_under_their_names_and_status_130(tmp_path: Path):
    output, events = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    output.write_text("from an earlier run")
    process = start(tmp_path, SAMPLE, "--output", output, "--events", events, "--quiet")
    try:
        part = tmp_path / ".out.jsonl.part"
        wait_for(lambda: part.exists() and part.stat().st_size > 0, 120, "messages are written")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, err) == (130, "")
    assert "(interrupted)" in out
    frames = len(times(output))
    assert 0 < frames < len(times(SAMPLE))
    assert f"{frames} frames" in out
    check_events(events, frames)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out.jsonl", "out.mp4"]


@pytest.mark.exhaustive
def test_video_that_is_cut_off_gives_what_came_before_and_says_so(tmp_path: Path):
    video = excerpt(tmp_path / "street.mkv")
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 3])
    output, events = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    status, _, err = run(tmp_path, video, "--output", output, "--events", events, "--quiet")
    assert status == 1
    assert err.count("\n") == 1
    assert str(video) in err and "cut off" in err and "before" in err
    frames = len(times(output))
    assert 0 < frames < FRAMES
    check_events(events, frames)


def unreadable(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.mp4"
    if kind == "text":
        path.write_text("Dear camera,\n" * 200)
    elif kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    elif kind == "audio":
        write_audio(path)
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "there is no file"),
        ("folder", "no regular file"),
        ("text", "no video can be read"),
        ("empty", "no video can be read"),
        ("audio", "no video track"),
    ],
)
def test_what_is_no_video_gives_one_line_and_touches_no_file(tmp_path: Path, kind: str, reason: str):
    video = unreadable(tmp_path, kind)
    output, events = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    events.write_text("from an earlier run")
    before = sorted(path.name for path in (*tmp_path.iterdir(), tmp_path / "data"))
    status, out, err = run(tmp_path, video, "--output", output, "--events", events)
    assert (status, out) == (1, "")
    assert err.startswith("actoscope: ") and err.count("\n") == 1, err
    assert str(video) in err and reason in err
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert events.read_text() == "from an earlier run"


@pytest.mark.parametrize(
    ("output", "events", "reason"),
    [
        ("nowhere/out.mp4", "out.jsonl", "there is no folder"),
        ("out.mp4", "nowhere/out.jsonl", "there is no folder"),
        ("street.mp4", "out.jsonl", "the video itself"),
        ("out.mp4", "out.mp4", "named twice"),
        ("data", "out.jsonl", "it is a folder"),
    ],
)
def test_output_that_cannot_be_written_is_told_before_any_work(tmp_path: Path, output: str, events: str, reason: str):
    video = excerpt(tmp_path / "street.mp4", frames=3)
    content = video.read_bytes()
    status, out, err = run(tmp_path, video, "--output", tmp_path / output, "--events", tmp_path / events)
    assert (status, out) == (1, "")
    assert err.startswith("actoscope: cannot write ") and err.count("\n") == 1, err
    assert reason in err
    assert "frame" not in err  # no progress bar: it had not begun
    assert video.read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "street.mp4"]


def test_model_that_is_not_there_is_told_and_leaves_nothing_behind(tmp_path: Path):
    video = excerpt(tmp_path / "street.mp4", frames=3)
    status, _, err = run(tmp_path, video, "--model", "nonsense", "--quiet")
    assert status == 1
    assert "nonsense" in err and err.count("\n") == 1, err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "street.mp4"]


def test_hop_that_makes_no_sense_is_a_usage_error(tmp_path: Path):
    process = subprocess.run(
        [sys.executable, "-m", "service.cli", "annotate", "x.mp4", "--hop", "0"],
        env=own_environment(tmp_path, CACHE),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 2
    assert "at least 1, got '0'" in process.stderr
