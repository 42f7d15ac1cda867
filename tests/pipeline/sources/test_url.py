"""What is accepted as a source, and that its password never shows."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from pipeline.errors import SourceUrlError
from pipeline.sources.url import SourcePolicy, SourceUrl, redact

SECRET = "s3cr3t"
OPEN = SourcePolicy()


@pytest.fixture
def policy(tmp_path: Path) -> SourcePolicy:
    (tmp_path / "media" / "deep").mkdir(parents=True)
    (tmp_path / "media" / "deep" / "a b.mp4").write_bytes(b"x")
    (tmp_path / "outside.mp4").write_bytes(b"x")
    return SourcePolicy(media_roots=(tmp_path / "media",))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"rtsp://cam:{SECRET}@10.0.0.1:554/stream?channel=1", "rtsp://cam:***@10.0.0.1:554/stream?channel=1"),
        (f"RTSPS://cam:{SECRET}@cam.example/x", "rtsps://cam:***@cam.example/x"),
        (f"rtsp://cam:{SECRET}%40%2F@[fe80::1]:554/x", "rtsp://cam:***@[fe80::1]:554/x"),
        (f"http://10.0.0.1/video?user=admin&pwd={SECRET}&x=1", "http://10.0.0.1/video?user=admin&pwd=***"),
        (f"rtsp://10.0.0.1/user=admin_password={SECRET}_channel=1.sdp", "rtsp://10.0.0.1/user=admin_password=***"),
        (f"https://{SECRET}@10.0.0.1/x", "https://***@10.0.0.1/x"),
        (f"rtsp://cam:a'{SECRET}'b@10.0.0.1/x", "rtsp://cam:***@10.0.0.1/x"),
        (f"http://10.0.0.1/snap?account=admin?password={SECRET}", "http://10.0.0.1/snap?account=***?password=***"),
        ("rtsp://10.0.0.1/x", "rtsp://10.0.0.1/x"),
    ],
)
def test_password_shows_nowhere_but_in_reveal(text: str, shown: str) -> None:
    url = SourceUrl.parse(text, OPEN)
    assert url.redacted == shown
    for printed in (str(url), repr(url), f"{url}", f"{[url]}", f"{url.place}"):
        assert SECRET not in printed
    assert SECRET in url.reveal() or SECRET not in text
    assert redact(f"cannot open '{url.reveal()}', retry") == redact(f"cannot open '{shown}', retry")
    assert SECRET not in redact(f"cannot open {text} (refused)")
    assert pickle.loads(pickle.dumps(url)) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "cam1",
        "10.0.0.1/stream",
        "rtsp:",
        "rtsp://",
        "rtsp:///path",
        f"rtsp://u:{SECRET}@/path",
        f"rtsp://u:{SECRET}@host:99999/x",
        f"rtsp://u:{SECRET}/x@host/path",
        f"rtsp://u:12/{SECRET}@host/path",
        f"rtsp://u:{SECRET}#x@host/path",
        f"rtsp://u:{SECRET}@x@host/path",
        f"rtsp://u:{SECRET} x@host/path",
        f"rtsp://u:{SECRET}@host/x\r\nTeardown: 1",
        f"rtsp://[{SECRET}/x",
        "ftp://host/x.mp4",
        "rtmp://host/x",
        "udp://239.0.0.1:1234",
        "concat:/etc/passwd",
        "subfile,,start,0,end,0,,:/etc/passwd",
        "async:file:/etc/passwd",
        "cache:http://host/x",
        "pipe:0",
        "data:video/mp4;base64,AAAA",
        "crypto+file:///etc/passwd",
        "exec:ffmpeg",
        "lavfi:testsrc",
        "http://host/list.m3u8",
        "https://host/list.M3U8?x=1",
        "v4l2:///dev/sda",
        "v4l2:///dev/video0/../sda",
        "v4l2:///dev/v4l/by-id/../../sda",
        "v4l2:///etc/passwd",
        "usb:",
        "usb:-1",
        "usb:9999",
        "x" * 3000,
    ],
)
def test_what_is_refused_and_the_message_holds_no_password(text: str) -> None:
    with pytest.raises(SourceUrlError) as caught:
        SourceUrl.parse(text, OPEN)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_hls_is_accepted_for_trusted_hosts_only() -> None:
    policy = SourcePolicy(hls_hosts=frozenset({"cdn.example"}))
    assert SourceUrl.parse("https://CDN.example/live.m3u8", policy).hls
    with pytest.raises(SourceUrlError, match="HLS"):
        SourceUrl.parse("https://cdn.example.evil/live.m3u8", policy)


def test_file_under_a_media_root_is_accepted(policy: SourcePolicy) -> None:
    url = SourceUrl.parse(f"file://{policy.media_roots[0]}/deep/a%20b.mp4?pace=realtime&loop=true", policy)
    assert url.path == (policy.media_roots[0] / "deep" / "a b.mp4").resolve()
    assert (url.options.pace, url.options.loop, url.is_live) == ("realtime", True, False)


@pytest.mark.parametrize(
    "rest",
    [
        "/../outside.mp4",
        "/deep/../../outside.mp4",
        "/%2e%2e/outside.mp4",
        "/deep/%2e%2e%2f%2e%2e%2foutside.mp4",
        "/link.mp4",
        "/linked/outside.mp4",
        "/missing.mp4",
        "/deep",
        "/fifo",
        "/a%00.mp4",
        "/deep/a%20b.mp4?pace=fastest",
        "/deep/a%20b.mp4?loop=maybe",
        "/deep/a%20b.mp4?speed=2",
        "/deep/a%20b.mp4#t=1",
    ],
)
def test_file_paths_that_are_refused(policy: SourcePolicy, tmp_path: Path, rest: str) -> None:
    import os

    root = policy.media_roots[0]
    (root / "link.mp4").symlink_to(tmp_path / "outside.mp4")
    (root / "linked").symlink_to(tmp_path)
    os.mkfifo(root / "fifo")
    with pytest.raises(SourceUrlError):
        SourceUrl.parse(f"file://{root}{rest}", policy)


def test_file_outside_or_without_media_roots_is_refused_whether_it_exists_or_not(
    policy: SourcePolicy, tmp_path: Path
) -> None:
    messages = set()
    for allowed, path in ((policy, tmp_path / "outside.mp4"), (policy, tmp_path / "nothing"), (OPEN, "/etc/passwd")):
        with pytest.raises(SourceUrlError) as caught:
            SourceUrl.parse(f"file://{path}", allowed)
        messages.add(str(caught.value))
    assert len(messages) == 1  # does not tell which files exist
    with pytest.raises(SourceUrlError, match="absolute"):
        SourceUrl.parse("file://fileserver/media/x.mp4", policy)


def test_media_root_may_itself_be_a_symlink(policy: SourcePolicy, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(policy.media_roots[0])
    allowed = SourcePolicy(media_roots=(tmp_path / "alias",))
    assert SourceUrl.parse(f"file://{tmp_path}/alias/deep/a%20b.mp4", allowed).path is not None


def test_from_path_takes_any_regular_file(tmp_path: Path) -> None:
    odd = tmp_path / "concat:50%?#.mp4"
    odd.write_bytes(b"x")
    assert SourceUrl.from_path(odd).path == odd.resolve()
    for wrong in (tmp_path, tmp_path / "missing", Path("/dev/zero")):
        with pytest.raises(SourceUrlError, match=r"regular file|there is no file"):
            SourceUrl.from_path(wrong)


@pytest.mark.parametrize("text", ["usb:2", "USB:2", "v4l2:///dev/video2"])
def test_usb_cameras_have_two_names(text: str) -> None:
    url = SourceUrl.parse(text, OPEN)
    assert (url.scheme, url.path, url.is_live) == ("v4l2", Path("/dev/video2"), True)
    with pytest.raises(SourceUrlError, match="not allowed"):
        SourceUrl.parse(text, SourcePolicy(allow_devices=False))


@pytest.mark.parametrize(
    ("text", "live"),
    [("rtsp://h/x.mp4", True), ("http://h/video.mjpg", True), ("http://h/x.MP4?t=1", False), ("http://h/x", True)],
)
def test_what_counts_as_live_before_it_is_opened(text: str, live: bool) -> None:
    assert SourceUrl.parse(text, OPEN).is_live is live


def test_redact_cleans_foreign_text() -> None:
    text = f"av.error: 'rtsp://a:{SECRET}@h/x'; rtsp://b:{SECRET}/@x@h2 and http://h/?token={SECRET}&n=1, done"
    cleaned = redact(text)
    assert SECRET not in cleaned
    assert cleaned.endswith("?token=*** done")
    assert redact("mail a@b.example at 10:30") == "mail a@b.example at 10:30"
