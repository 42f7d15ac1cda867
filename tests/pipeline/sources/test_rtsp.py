"""A real RTSP server that plays a file: frames, outages, wrong addresses, silence, and no password anywhere."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipeline.sources.url import SourcePolicy, SourceUrl
from pipeline.sources.video_source import SourceOptions, SourceState
from tests.support.black_hole import BlackHole
from tests.support.media import write_video
from tests.support.rtsp import RtspServer, free_port
from tests.support.watcher import Watcher

CANARY = "c4n4ry-passw0rd"
STOP_S = 2.0


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("rtsp") / "v.mp4", frames=75, gop=25)


@pytest.fixture
def camera(video: Path) -> Iterator[RtspServer]:
    with RtspServer(video) as server:
        yield server


@pytest.fixture
def no_canary(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[list[Watcher]]:
    """Put watchers in; afterwards their states, errors, the log and both outputs hold no password."""
    caplog.set_level(logging.DEBUG)
    watchers: list[Watcher] = []
    yield watchers
    output = capfd.readouterr()
    texts = [caplog.text, output.out, output.err]
    texts += [repr(watcher.changes) + repr(watcher.error) + repr(watcher.source._url) for watcher in watchers]
    assert watchers
    assert CANARY not in "".join(texts)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_frames_arrive_with_the_cameras_own_times(camera: RtspServer, transport: str) -> None:
    with Watcher(camera.url(), SourceOptions(transport=transport)) as watched:
        watched.wait_state(SourceState.RUNNING)
        time.sleep(2.0)
        assert watched.stop() < STOP_S
    frames = watched.frames
    assert len(frames) > 25
    assert {frame.epoch for frame in frames} == {0}
    times = np.array([frame.time_s for frame in frames])
    indices = np.array([frame.index for frame in frames])
    assert np.diff(times).min() > 0
    assert times[-1] == pytest.approx(frames[-1].received_s - frames[0].received_s, abs=0.6)
    # Between frames with real timestamps, time follows the camera's 25 a second and not the arrival.
    late = slice(len(frames) // 2, None)
    np.testing.assert_allclose(np.diff(times[late]), np.diff(indices[late]) * 0.04, atol=2e-3)
    assert abs(frames[-1].captured_at - time.time()) < 5
    assert [change.state for change in watched.changes] == [
        SourceState.CONNECTING,
        SourceState.RUNNING,
        SourceState.STOPPED,
    ]


def test_slow_consumer_gets_the_newest_frame_and_drops_are_counted(camera: RtspServer) -> None:
    watched = Watcher(camera.url())
    frames = iter(watched.source)
    first = next(frames)
    time.sleep(1.5)
    second = next(frames)
    third = next(frames)
    watched.source.stop()
    assert list(frames) == []
    assert third.index - first.index > 20
    assert time.monotonic() - third.received_s < 0.5
    stats = watched.source.stats()
    assert stats.frames_dropped >= second.index - first.index - 1 >= 0
    assert 3 <= stats.frames_decoded - stats.frames_dropped <= 8  # three taken, four places, one on its way


def test_killed_camera_is_noticed_and_found_again(camera: RtspServer) -> None:
    with Watcher(camera.url()) as watched:
        watched.wait(lambda w: len(w.frames) > 20)
        camera.kill()
        killed_s = time.monotonic()
        watched.wait_state(SourceState.RECONNECTING, timeout_s=5)
        assert watched.changes[-1].at_s - killed_s <= 1.0
        time.sleep(2.0)
        camera.start()
        back_s = time.monotonic()
        watched.wait_state(SourceState.RUNNING, timeout_s=8)
        assert watched.changes[-1].at_s - back_s <= 4.0
        watched.wait(lambda w: w.frames[-1].epoch == 1)
        count = len(watched.frames)
        watched.wait(lambda w: len(w.frames) > count + 5)
    frames = watched.frames
    assert [frame.epoch for frame in frames] == sorted(frame.epoch for frame in frames)
    assert {frame.epoch for frame in frames} == {0, 1}
    assert [frame.index for frame in frames] == sorted({frame.index for frame in frames})
    assert np.diff([frame.time_s for frame in frames]).min() > 0
    outage_s = max(np.diff([frame.time_s for frame in frames]))
    assert 2.0 < outage_s < 10.0  # media time went on during the outage
    assert watched.source.stats().reconnects >= 1


def test_frozen_camera_is_noticed_and_stop_still_works(camera: RtspServer) -> None:
    with Watcher(camera.url()) as watched:
        watched.wait(lambda w: len(w.frames) > 10)
        camera.freeze()
        frozen_s = time.monotonic()
        watched.wait_state(SourceState.RECONNECTING, timeout_s=10)
        assert watched.changes[-1].at_s - frozen_s <= 7.0
        assert watched.changes[-1].code == "timed_out"
        assert watched.stop() < STOP_S
    assert watched.changes[-1].state is SourceState.STOPPED


def test_stop_while_the_camera_is_frozen_does_not_wait_for_it(camera: RtspServer) -> None:
    with Watcher(camera.url()) as watched:
        watched.wait(lambda w: len(w.frames) > 10)
        camera.freeze()
        time.sleep(0.5)
        assert watched.stop() < STOP_S


def test_password_with_reserved_characters_is_understood(video: Path) -> None:
    with (
        RtspServer(video, credentials="cam:p@ss/w:rd") as camera,
        Watcher(camera.url(credentials="cam:p%40ss%2Fw%3Ard")) as watched,
    ):
        watched.wait_state(SourceState.RUNNING)


@pytest.mark.parametrize(
    ("mount", "credentials", "code"),
    [("/cam", f"viewer:{CANARY}", "unauthorized"), ("/cam", "", "unauthorized"), ("/nope", None, "not_found")],
    ids=["wrong-password", "no-password", "wrong-path"],
)
def test_wrong_address_fails_with_a_reason(
    video: Path, no_canary: list[Watcher], mount: str, credentials: str | None, code: str
) -> None:
    with RtspServer(video, credentials=f"cam:{CANARY}") as camera, Watcher(camera.url(mount, credentials)) as watched:
        no_canary.append(watched)
        change = watched.wait_code(code)
        assert change.state is SourceState.FAILED
        assert f"127.0.0.1:{camera.port}" in change.reason
        assert watched.stop() < STOP_S
    assert watched.error is None  # a live source never raises
    assert watched.frames == []


def test_failed_source_is_tried_again_slowly_and_recovers(video: Path) -> None:
    camera = RtspServer(video, mounts=["/other"])
    with camera, Watcher(camera.url("/cam"), SourceOptions(failed_retry_s=1.0)) as watched:
        watched.wait_state(SourceState.FAILED)
        camera.kill()
        with RtspServer(video, port=camera.port):
            watched.wait_state(SourceState.RUNNING)
            watched.stop()
        camera.start()


def test_path_missing_just_after_a_restart_is_not_believed(video: Path) -> None:
    camera = RtspServer(video)
    with camera, Watcher(camera.url()) as watched:
        watched.wait_state(SourceState.RUNNING)
        camera.kill()
        with RtspServer(video, mounts=["/other"], port=camera.port):
            change = watched.wait_code("not_found")
            assert change.state is SourceState.RECONNECTING
        camera.start()
        watched.wait_state(SourceState.RUNNING)


def test_closed_port_is_refused_and_tried_again(no_canary: list[Watcher]) -> None:
    port = free_port()
    with Watcher(f"rtsp://viewer:{CANARY}@127.0.0.1:{port}/cam") as watched:
        no_canary.append(watched)
        change = watched.wait_code("refused")
        assert change.state is SourceState.RECONNECTING
        watched.wait(lambda w: w.source.stats().reconnects >= 2)
        assert watched.stop() < STOP_S


def test_unknown_host_is_told_apart(no_canary: list[Watcher]) -> None:
    with Watcher(f"rtsp://viewer:{CANARY}@camera.invalid/cam") as watched:
        no_canary.append(watched)
        change = watched.wait_code("unresolved", timeout_s=20)
        assert change.state is SourceState.RECONNECTING
        assert watched.stop() < STOP_S


@pytest.mark.parametrize("scheme", ["rtsp", pytest.param("http", marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("drip", [b"", b"R"], ids=["silent", "trickling"])
def test_server_that_never_answers_times_out(no_canary: list[Watcher], scheme: str, drip: bytes) -> None:
    options = SourceOptions(open_timeout_s=1.5, read_timeout_s=1.0)
    with (
        BlackHole(drip) as hole,
        Watcher(f"{scheme}://viewer:{CANARY}@127.0.0.1:{hole.port}/cam", options) as watched,
    ):
        no_canary.append(watched)
        change = watched.wait_code("timed_out")
        assert change.state is SourceState.RECONNECTING
        watched.wait(lambda _: hole.accepted >= 2)  # tried again, and now it is amid an attempt
        assert watched.stop() < STOP_S


def self_signed(path: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, as cameras have, with its key. → path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    encodings = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*encodings))
    return path


def test_encrypted_camera_with_its_own_certificate_needs_to_be_allowed(video: Path, tmp_path: Path) -> None:
    with RtspServer(video, credentials="cam:secret", tls_pem=self_signed(tmp_path / "camera.pem")) as camera:
        assert camera.url().startswith("rtsps://")
        with Watcher(camera.url()) as watched:
            assert "is not trusted (self-signed certificate)" in watched.wait_code("untrusted").reason
        with Watcher(camera.url(), SourceOptions(tls_verify=False)) as watched:
            watched.wait(lambda w: len(w.frames) > 5)


def test_several_mount_points_serve_at_once(video: Path) -> None:
    with (
        RtspServer(video, mounts=["/front", "/back"]) as server,
        Watcher(server.url("/front")) as front,
        Watcher(server.url("/back")) as back,
    ):
        front.wait(lambda w: len(w.frames) > 5)
        back.wait(lambda w: len(w.frames) > 5)


def test_picture_larger_than_allowed_fails(camera: RtspServer) -> None:
    url = SourceUrl.parse(camera.url(), SourcePolicy())
    with Watcher(url, SourceOptions(max_pixels=100 * 100)) as watched:
        change = watched.wait_code("too_large")
        assert change.state is SourceState.FAILED


@pytest.mark.exhaustive
def test_camera_whose_pictures_are_rarer_than_the_limit_of_silence_is_waited_for(tmp_path: Path) -> None:
    slow = write_video(tmp_path / "slow.mp4", frames=60, rate=1, gop=1)
    options = SourceOptions(read_timeout_s=0.4, stale_after_s=0.8)
    with RtspServer(slow) as camera, Watcher(SourceUrl.parse(camera.url(), SourcePolicy()), options) as watched:
        watched.wait(lambda w: len(w.frames) > 12, timeout_s=40)
        newest = watched.frames[-6:]
        assert len({frame.epoch for frame in newest}) == 1, "no new connection any more"
        assert watched.source.stats().quiet_s >= 0.8
        assert watched.source.stats().reconnects <= 6
