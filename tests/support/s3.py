"""S3 and AWS Batch on this machine: moto's server, and a proxy before it that fails on purpose."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import boto3
import httpx

from tests.support.loopback_server import LoopbackServer
from tests.support.service import free_port, wait_for

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "c4n4ry-of-a-key",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@contextmanager
def moto_server(folder: Path) -> Iterator[str]:
    """→ ``http://127.0.0.1:PORT``, of all of AWS, in memory."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", url.rpartition(":")[2]]
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **CREDENTIALS})
    try:
        wait_for(lambda: _answers(url), 60, "moto answers")
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/moto-api/", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def new_bucket(url: str) -> str:
    """→ its name; nobody else's objects are in it."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    make_bucket(url, name)
    return name


def make_bucket(url: str, name: str) -> None:
    region = {"LocationConstraint": "eu-central-1"}
    client = boto3.session.Session().client("s3", endpoint_url=url)
    client.create_bucket(Bucket=name, CreateBucketConfiguration=region)
    client.close()


_OF_THIS_HOP = ("connection", "content-length", "expect", "transfer-encoding")
Fault = str  # one of those below
BUSY, DENIED, GONE, CUT, WRONG_TAG = "503", "403", "closed before an answer", "cut in the middle", "another ETag"
SLOW, SLOW_S = "an answer that comes late", 1.5
Judge = Callable[[str, str], Fault | None]  # method, path → what goes wrong


class FaultProxy(LoopbackServer):
    """Passes requests on to ``target``, unless ``judge`` says what is to go wrong. ``asked``: all, in their order."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.judge: Judge = lambda method, path: None
        self.asked: list[str] = []
        self._target = target.removeprefix("http://")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = _body(request)
        self.asked.append(f"{request.command} {request.path}")
        fault = self.judge(request.command, request.path)
        if fault == SLOW:
            time.sleep(SLOW_S)
        if fault == GONE:
            request.connection.shutdown(socket.SHUT_RDWR)
        elif fault in (BUSY, DENIED):
            request.send_response(int(fault))
            request.end_headers()
        else:
            self._pass_on(request, body, fault)

    def _pass_on(self, request: BaseHTTPRequestHandler, body: bytes, fault: Fault | None) -> None:
        connection = http.client.HTTPConnection(self._target, timeout=30)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_THIS_HOP}
        connection.request(request.command, request.path, body, {**headers, "Content-Length": str(len(body))})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        request.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_THIS_HOP:
                request.send_header(name, '"0badc0de"' if fault == WRONG_TAG and name.lower() == "etag" else value)
        length = answer.getheader("Content-Length") if request.command == "HEAD" else str(len(content))
        request.send_header("Content-Length", length or "0")
        request.end_headers()
        request.wfile.write(content[: len(content) // 2] if fault == CUT else content)


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Expect", "").lower() == "100-continue":
        handler.send_response_only(100)
        handler.end_headers()
    return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))


def first(count: int, fault: Fault, pattern: str) -> Judge:
    """The first ``count`` requests whose ``METHOD /path`` has ``pattern`` in it go wrong so."""
    left = [count]

    def judge(method: str, path: str) -> Fault | None:
        if left[0] and re.search(pattern, f"{method} {path}"):
            left[0] -= 1
            return fault
        return None

    return judge
