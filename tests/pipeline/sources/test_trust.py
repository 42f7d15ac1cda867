"""Cameras with certificates: trusted ones, ones that nobody vouches for, ones of another host; and redirects."""

from __future__ import annotations

import http.server
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from pipeline.sources import peer, trust
from pipeline.sources.url import SourcePolicy, SourceUrl
from pipeline.sources.video_source import SourceOptions, SourceState
from tests.support.http_camera import HttpCamera
from tests.support.media import write_video
from tests.support.rtsp import RtspServer
from tests.support.rtsp_redirect import RtspRedirect
from tests.support.watcher import Change, Watcher

CA = trustme.CA()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("trust") / "v.mp4", frames=75, gop=25)


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    CA.cert_pem.write_to_path(str(path))
    return path


def pem(folder: Path, authority: trustme.CA, name: str) -> Path:
    """A camera's certificate and key in one file."""
    leaf, path = authority.issue_cert(name), folder / "camera.pem"
    path.write_bytes(leaf.cert_chain_pems[0].bytes() + leaf.private_key_pem.bytes())
    return path


def refusal(camera: RtspServer, options: SourceOptions) -> Change:
    with Watcher(camera.url(), options) as watched:
        change = watched.wait_code("untrusted")
        assert change.state is SourceState.FAILED
        assert not watched.frames
    return change


def test_camera_with_a_certificate_of_a_trusted_issuer_is_watched(video: Path, tmp_path: Path, ca_file: Path):
    with (
        RtspServer(video, credentials="cam:secret", tls_pem=pem(tmp_path, CA, "127.0.0.1")) as camera,
        Watcher(camera.url(), SourceOptions(ca_file=ca_file)) as watched,
    ):
        watched.wait(lambda w: len(w.frames) > 5)


def test_camera_that_nobody_vouches_for_is_refused_with_what_to_do(video: Path, tmp_path: Path):
    with RtspServer(video, credentials="cam:secret", tls_pem=pem(tmp_path, trustme.CA(), "127.0.0.1")) as camera:
        reason = refusal(camera, SourceOptions()).reason
    assert reason.startswith(f"the certificate of 127.0.0.1:{camera.port} is not trusted (unable to get local issuer")
    assert "ACTOSCOPE_CAMERA_CA" in reason and "tls_verify=false" in reason
    assert "secret" not in reason


def test_camera_with_the_certificate_of_another_host_is_refused(video: Path, tmp_path: Path, ca_file: Path):
    with RtspServer(video, credentials="cam:secret", tls_pem=pem(tmp_path, CA, "cam.example")) as camera:
        reason = refusal(camera, SourceOptions(ca_file=ca_file)).reason
    assert "IP address mismatch" in reason


def test_file_of_issuers_that_is_not_there_trusts_nobody(video: Path, tmp_path: Path):
    with RtspServer(video, credentials="cam:secret", tls_pem=pem(tmp_path, CA, "127.0.0.1")) as camera:
        reason = refusal(camera, SourceOptions(ca_file=tmp_path / "none.pem")).reason
    assert f"there is no file {tmp_path / 'none.pem'}" in reason


def test_stream_that_says_so_takes_any_certificate(video: Path, tmp_path: Path):
    with (
        RtspServer(video, credentials="cam:secret", tls_pem=pem(tmp_path, trustme.CA(), "127.0.0.1")) as camera,
        Watcher(camera.url(), SourceOptions(tls_verify=False)) as watched,
    ):
        watched.wait(lambda w: len(w.frames) > 5)


class HttpsCamera(HttpCamera):
    """The same behind TLS."""

    def __init__(self, folder: Path, certificate: Path) -> None:
        super().__init__(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)


@pytest.mark.parametrize("path", ["/mjpeg", "/snapshot", "/v.mp4"])
def test_https_camera_is_held_to_the_same(video: Path, tmp_path: Path, ca_file: Path, path: str):
    with HttpsCamera(video.parent, pem(tmp_path, CA, "127.0.0.1")) as camera:
        address, options = f"https://127.0.0.1:{camera.port}{path}", SourceOptions(snapshot_s=0.1, ca_file=ca_file)
        with Watcher(address, options) as watched:
            watched.wait(lambda w: len(w.frames) > 2)
    with HttpsCamera(video.parent, pem(tmp_path, trustme.CA(), "127.0.0.1")) as camera:
        with Watcher(f"https://127.0.0.1:{camera.port}{path}", options) as watched:
            if path == "/v.mp4":
                watched.wait(lambda w: w.error is not None)
                assert watched.error is not None and watched.error.code == "untrusted"
            else:
                watched.wait_code("untrusted")
        assert not watched.frames
        assert camera.paths == [], "nothing was asked of it"


def test_segments_of_a_playlist_are_not_held_to_it(tmp_path: Path, ca_file: Path):
    """FFmpeg hands these options to the playlist only: what docs/security.md says of HLS."""
    write_video(tmp_path / "s.ts", frames=50, gop=25)
    trusted, other = tmp_path / "trusted", tmp_path / "other"
    trusted.mkdir()
    other.mkdir()
    with (
        HttpsCamera(tmp_path, pem(trusted, CA, "127.0.0.1")) as good,
        HttpsCamera(tmp_path, pem(other, trustme.CA(), "127.0.0.1")) as bad,
    ):
        segment = f"https://127.0.0.1:{bad.port}/s.ts"
        head = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-VERSION:3\n#EXTINF:2.0,\n"
        (tmp_path / "live.m3u8").write_text(f"{head}{segment}\n#EXT-X-ENDLIST\n")
        policy = SourcePolicy(hls_hosts=frozenset({"127.0.0.1"}))
        url = SourceUrl.parse(f"https://127.0.0.1:{good.port}/live.m3u8", policy)
        with Watcher(url, SourceOptions(ca_file=ca_file)) as watched:
            watched.wait(lambda w: len(w.frames) > 5)
        refused = SourceUrl.parse(f"https://127.0.0.1:{bad.port}/live.m3u8", policy)
        with Watcher(refused, SourceOptions(ca_file=ca_file)) as watched:
            watched.wait_code("untrusted")


@pytest.mark.parametrize("status", [301, 302, 305])
def test_redirect_of_an_rtsp_camera_to_another_server_gives_no_picture(video: Path, status: int):
    """FFmpeg asks the other server, which cannot be prevented; nothing that it shows is taken."""
    with RtspServer(video) as other, RtspRedirect(other.url(), status) as camera, Watcher(camera.url) as watched:
        change = watched.wait_code("not_allowed")
        assert "redirects to another server, which is refused" in change.reason
        assert change.state is SourceState.FAILED
        assert not watched.frames
        assert camera.asked[0].startswith("OPTIONS")


def test_peers_of_this_process_are_known_by_address_and_port():
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    here = SourceUrl.parse(f"rtsp://localhost:{server.server_port}/", SourcePolicy())
    assert ("127.0.0.1", server.server_port) in peer.addresses(here)
    assert not peer.is_connected(peer.addresses(here)), "listened on, and nobody is connected"
    with server.socket, socket.create_connection(("127.0.0.1", server.server_port)):
        assert peer.is_connected(peer.addresses(here))
    assert peer.addresses(SourceUrl.parse("rtsp://no-such-host.invalid/", SourcePolicy())) == frozenset()


def test_system_file_of_issuers_is_found_or_trusts_nobody(monkeypatch: pytest.MonkeyPatch):
    assert trust.ca_file(SourceOptions(ca_file=Path("/x.pem"))) == Path("/x.pem")
    assert trust.ca_file(SourceOptions()).is_file()
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    assert str(trust.ca_file(SourceOptions())).endswith((".pem", ".crt"))
