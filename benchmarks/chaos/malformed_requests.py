"""Requests that no client should send: wrong bodies, URLs, queries, paths and headers, and bytes that are no HTTP.

``calls`` are well-formed HTTP, each to be refused with a 4xx; ``raw`` are bytes for a TCP connection, to be answered
with a 4xx or by closing it. URLs that lead anywhere lead to the canary port, which nothing may reach.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

WRONG_VALUES: tuple[Any, ...] = (None, 0, -1, 1.5, "", " ", "\x00", "x" * 5000, [], [[]], {}, {"a": {}}, True, 10**400)
FIELDS = (
    *("url", "name", "model", "actions", "record", "transport", "pace", "loop", "snapshot_s", "tier", "enabled"),
    *("groups", "tls_verify", "record_overlay", "exercise", "form"),
)
FITS: dict[str, tuple[Any, ...]] = {  # which of them a field may hold, or POST takes for "not said"
    "actions": ({},),
    "record": (0, True),
    "loop": (0, True),
    "snapshot_s": (1.5, True),
    "enabled": (0, True),
    "groups": ([],),
    "tls_verify": (0, True),
    "record_overlay": (0, True),
    "form": ({},),
}
MAY_BE_NULL = frozenset({"name", "model", "actions", "record", "record_overlay", "exercise", "form"})
NULL_CLEARS = frozenset({"actions", "exercise", "form"})  # in PATCH


@dataclass(frozen=True, slots=True)
class Call:
    """One request; ``path`` is sent as it is."""

    method: str
    path: str
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def calls(stream_id: str, canary: int) -> list[Call]:
    """For a service that has the stream; ``canary``: the port that nothing may reach."""
    return [
        *_bodies_that_are_none(),
        *_wrong_fields(stream_id),
        *_wrong_urls(canary),
        *_wrong_queries(),
        *_wrong_paths(),
        *_wrong_methods(stream_id),
        *_wrong_headers(),
    ]


def _post(content: bytes, **headers: str) -> Call:
    return Call("POST", "/v1/streams", content, {"content-type": "application/json", **headers})


def _bodies_that_are_none() -> Iterator[Call]:
    texts = ("", " ", "{", "}", "[]", "null", "true", "1", '"url"', "{'url': 1}", '{"url"}', '{"url":}', "[" * 30000)
    numbers = ('{"url": NaN}', '{"url": 1e999}', '{"url": "x", "actions": {"a": Infinity}}', '{"url": -}')
    for text in (*texts, *numbers, '{"a":' * 9000, '{"url": "\\ud800"}', '{"\\ud800": 1}', "\ufeff{}", "a=b&c=d"):
        yield _post(text.encode())
    for content in (
        b"\x00",
        b"\xff\xfe{\x00}\x00",
        b"\x80" * 100,
        b'{"url": "\xff"}',
        b"PK\x03\x04" * 50,
        b"{" + b" " * 70000,
    ):
        yield _post(content)
    yield Call("POST", "/v1/streams", b'{"url": "file:///x"}', {"content-type": "text/plain"})
    yield Call("POST", "/v1/streams", b"<url/>", {"content-type": "application/xml"})


def _wrong_fields(stream_id: str) -> Iterator[Call]:
    for name in FIELDS:
        for value in WRONG_VALUES:
            if any(value is fit or (type(value) is type(fit) and value == fit) for fit in FITS.get(name, ())):
                continue
            if name not in ("enabled",) and not (value is None and name in MAY_BE_NULL):
                yield _post(json.dumps({"url": "rtsp://127.0.0.1:9/cam", name: value}).encode())
            if not (value is None and name in NULL_CLEARS):
                content = json.dumps({name: value}).encode()
                yield Call("PATCH", f"/v1/streams/{stream_id}", content, {"content-type": "application/json"})
    for extra in ("exec", "ffmpeg_args", "__class__", "url ", "URL", "\u202eurl"):
        yield _post(json.dumps({"url": "rtsp://127.0.0.1:9/cam", extra: "x"}).encode())


def _wrong_urls(canary: int) -> Iterator[Call]:
    here = f"127.0.0.1:{canary}"
    schemes = (
        "concat", "subfile,,start,0,end,9,,", "async", "cache", "crypto", "data", "gopher", "ftp", "tcp", "udp", "rtp",
        "unix", "pipe", "hls", "hls+http", "mmsh", "rtmp", "srt", "sftp", "smb", "tee", "md5", "fd", "exec", "lavfi",
        "javascript", "jar", "ldap", "rtsp+unix", "HTTP+HLS", "icecast", "ipfs", "zmq", "bluray", "httpproxy",
    )  # fmt: skip
    for scheme in schemes:
        yield _post(json.dumps({"url": f"{scheme}:http://{here}/x.mp4"}).encode())
        yield _post(json.dumps({"url": f"{scheme}://{here}/x.mp4"}).encode())
    texts = (
        ":", "//", "rtsp:", "rtsp://", "rtsp:///", "rtsp://@", f"rtsp://{here} x/", "rtsp://h/\r\nHost: x",
        f"http://{here}/\\x", f"http://{here}/<x>", "http://[::1", "http://127.0.0.1:99999/", "http://127.0.0.1:-1/",
        "http://127.0.0.1:port/", f"{here}/cam", f"-i http://{here}/", f"http://{here}/x.m3u8", f"http://{here}/x.m3u",
        "file://", "file:///", "file:///etc/passwd", "file:///proc/self/environ", "file:///dev/zero", "file:///dev/stdin",
        "file://localhost/etc/passwd", f"file://{here}/x.mp4", "file:../../etc/passwd", "file:///%00", "file:///..%2f..",
        "/etc/passwd", "v4l2:///etc/passwd", "v4l2:///dev/null", "v4l2:///dev/../etc", "usb:-1", "usb:x", "usb:9999",
        "usb://0/../../x", "http://\u2100example/", "rtsp://\x00", "x" * 2049, "rtsp://" + "a" * 3000,
    )  # fmt: skip
    for text in texts:
        yield _post(json.dumps({"url": text}).encode())


def _wrong_queries() -> Iterator[Call]:
    pairs = ["limit=0", "limit=-1", "limit=x", "limit=1e9", "limit=99999999999999999999", "limit=", "limit=1&limit=x"]
    pairs += ["cursor=x", "cursor=%00", "cursor=AAAA", "cursor=" + "A" * 300, "cursor=eyJ9", "unknown=1", "limit=1.5"]
    for route in ("/v1/streams", "/v1/events", "/v1/recordings"):
        yield from (Call("GET", f"{route}?{pair}") for pair in pairs)
    times = ["since=x", "since=0", "until=2026-13-01T00:00:00Z", "since=2026-01-01T00:00:00", "until=%ff", "since="]
    for route in ("/v1/events", "/v1/recordings"):
        yield from (Call("GET", f"{route}?{pair}") for pair in times if pair != "since=0")
    wrong = ["track=-1", "track=x", f"track={2**63}", "min_confidence=2", "min_confidence=nan", "min_confidence=x"]
    yield from (Call("GET", f"/v1/events?{pair}") for pair in [*wrong, "&".join(["stream=a"] * 101), "action=%00"])
    yield from _wrong_reviews()
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    key = {"sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    for pair in (
        "since_seq=-1",
        "since_seq=x",
        f"since_seq={2**64}",
        "min_confidence=nan",
        "unknown=1",
        "stream=a&x=y",
    ):
        yield Call("GET", f"/v1/ws?{pair}", b"", {**upgrade, **key})


def _wrong_reviews() -> Iterator[Call]:
    pairs = ["max_confidence=2", "min_duration_s=-1", "min_duration_s=nan", "verdict=x", "reviewed=2", "order=x"]
    pairs += ["time_of_day=22-6", "time_of_day=25:00-26:00", "timezone=../x", "timezone=Mars", "audit_sample=x"]
    yield from (Call("GET", f"/v1/events?{pair}") for pair in pairs)
    span = "since=2026-01-01T00:00:00Z&until="
    ends = ("2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z", "x", "2026-01-01T00:00:00")
    yield from (Call("GET", f"/v1/timeline?{span}{end}") for end in ends)
    yield from (Call("GET", f"/v1/search?{pair}") for pair in ("", "q=" + "x" * 300, "q=%00", "q=x&z=1"))
    json_type = {"content-type": "application/json"}
    for body in (b"{}", b'{"ids": [], "reviewed": true}', b'{"ids": ["\\u0000"], "reviewed": true}', b"[" * 9000):
        yield Call("POST", "/v1/events/reviewed", body, json_type)
    yield Call("PUT", "/v1/events/evt_x/verdict", b'{"verdict": "right"}', json_type)
    yield from (Call("GET", f"/v1/corrections/{name}/clip.mp4") for name in ("x", "..%2f..%2factoscope.db", "ver_0"))


def _wrong_paths() -> Iterator[Call]:
    ids = (
        "x",
        "str_",
        "..",
        "%2e%2e%2fetc%2fpasswd",
        "%00",
        "%ff%fe",
        quote("é"),
        "a" * 3000,
        "str_0123456789abcdef%0a",
    )
    for one in ids:
        for tail in ("", "/snapshot.jpg", "/live.mjpeg"):
            yield Call("GET", f"/v1/streams/{one}{tail}")
        for tail in ("", "/video.mp4", "/events.jsonl"):
            yield Call("GET", f"/v1/recordings/{one}{tail}")
    for path in (
        "/v2/streams",
        "/v1",
        "/v1/",
        "/v1/streams/",
        "/.env",
        "/..%2f..%2fetc/passwd",
        "/static/../../x",
        "/docs",
    ):
        yield Call("GET", path)


def _wrong_methods(stream_id: str) -> Iterator[Call]:
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "X" * 50):
        for path in ("/v1/streams", "/v1/events", "/metrics", "/healthz"):
            yield Call(method, path)
    yield Call("PUT", f"/v1/streams/{stream_id}", b"{}")
    yield Call("POST", f"/v1/streams/{stream_id}", b"{}")
    yield Call("GET", f"/v1/streams/{stream_id}/restart")


def _wrong_headers() -> Iterator[Call]:
    content = b'{"url": "rtsp://127.0.0.1:9/cam"}'
    for origin in ("http://evil.example", "null", "http://127.0.0.1.evil.example", "x", "file://"):
        yield _post(content, origin=origin)
    yield _post(b"{}", **{"content-encoding": "gzip"})
    yield _post(b"\x1f\x8b" + b"\x00" * 100, **{"content-encoding": "gzip"})


def raw() -> list[bytes]:
    """Bytes that a TCP client sends, then waits."""
    host = b"Host: 127.0.0.1\r\n"
    post = b"POST /v1/streams HTTP/1.1\r\n" + host + b"Content-Type: application/json\r\n"
    return [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # TLS to a plain port
        b"\x00" * 500,
        b"\r\n" * 50 + b"x\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  /  HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"A" * 200_000 + b": x\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + host + b"\r\n",
        b"GET /\x00 HTTP/1.1\r\n" + host + b"\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n" + host + b"\r\n",
        b"RTSP/1.0 200 OK\r\n\r\n",
        b"OPTIONS rtsp://127.0.0.1/ RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
        post + b"Content-Length: -1\r\n\r\n",
        post + b"Content-Length: x\r\n\r\n",
        post + b"Content-Length: 99999999999999999999\r\n\r\n{}",
        post + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        post + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
        post + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}",
        post + b"Transfer-Encoding: gzip\r\n\r\n{}",
        post + b"Transfer-Encoding: chunked\r\n\r\n" + (b"1000\r\n" + b" " * 4096 + b"\r\n") * 40 + b"0\r\n\r\n",
        b"GET /v1/ws HTTP/1.1\r\n" + host + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET /v1/ws HTTP/1.1\r\n" + host
        + b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 99\r\nSec-WebSocket-Key: x\r\n\r\n",
    ]  # fmt: skip
