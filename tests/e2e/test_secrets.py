"""Target T9: a camera's password appears nowhere but in the request to the camera; nor do credentials of access."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil

from tests.support.places import REPOSITORY
from tests.support.rtsp import RtspServer
from tests.support.service import SAMPLE, Service

CANARY = "c4n4ry-Pa55"


def test_password_in_a_source_url_appears_nowhere(own_service: Service):
    own_service.environment |= {"ACTOSCOPE_LOG_LEVEL": "debug", "ACTOSCOPE_SINK_HOSTS": "127.0.0.1"}
    own_service.start()
    answers = []
    with RtspServer(SAMPLE, credentials=f"viewer:{CANARY}") as camera, own_service.subscribe() as subscriber:
        good = own_service.add_stream(camera.url(), record=True)
        bad = own_service.add_stream(camera.url(credentials=f"viewer:{CANARY}x"))
        gone = own_service.add_stream(f"rtsp://viewer:{CANARY}@127.0.0.1:9/cam")
        # The same password where cameras take it besides: in the query, and in the path.
        in_query = own_service.add_stream(f"http://127.0.0.1:9/snap.cgi?loginuse=viewer&loginpas={CANARY}")
        in_path = own_service.add_stream(f"rtsp://127.0.0.1:9/user=viewer_psw={CANARY}_channel=1.sdp", name="Yard")
        refused = own_service.client.post("/v1/streams", json={"url": f"gopher://viewer:{CANARY}@127.0.0.1/cam"})
        assert refused.status_code == 422
        own_service.wait_state(good["id"], "running", 30)
        own_service.wait_state(bad["id"], "failed", 30)
        for stream in (gone, in_query, in_path):
            own_service.wait_state(stream["id"], "reconnecting", 30)
        answers += [good, bad, gone, in_query, in_path, refused.text, command_lines(own_service)]
        for path in ("/v1/streams", f"/v1/streams/{good['id']}", "/v1/events", "/metrics", "/readyz", "/v1/recordings"):
            answers.append(own_service.client.get(path).text)
        camera.kill()
        own_service.wait_state(good["id"], "reconnecting", 10)
        answers += [message for _, message in subscriber.messages]
    own_service.stop()
    assert "rtsp://" in own_service.log(), "the log names sources, or this test proves nothing"
    for file in (own_service.folder / "data").glob("*.db*"):
        answers.append(file.read_bytes().decode("latin-1"))
    answers += [path.read_text(errors="replace") for path in own_service.folder.rglob("*.jsonl")]
    answers.append(own_service.log())
    for answer in answers:
        assert CANARY not in str(answer), str(answer)[:2000]


PASSWORD = "c4n4ry of a user's own"
SINK_SECRET = "c4n4ry-of-a-sink-in-all"


@dataclass
class Secrets:
    """What must appear nowhere, and where it was given out on purpose, which is not looked at."""

    service: Service
    texts: dict[str, str] = field(default_factory=dict)  # name → secret


def give_passwords(secrets: Secrets) -> None:
    command = [sys.executable, "-m", "service.cli", "users", "add", "anna", "--role", "admin", "--password-stdin"]
    environment = secrets.service.environment
    subprocess.run(command, input=PASSWORD, env=environment, cwd=REPOSITORY, text=True, timeout=60, check=True)
    secrets.texts["password of a user"] = PASSWORD


def give_sessions(secrets: Secrets) -> None:
    client = secrets.service.client
    assert client.post("/v1/login", json={"name": "anna", "password": PASSWORD + "x"}).status_code == 401
    answer = client.post("/v1/login", json={"name": "anna", "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    secrets.texts["session"] = answer.cookies["actoscope"]


def give_tokens(secrets: Secrets) -> None:
    client = secrets.service.client
    body = {"name": "canary", "scopes": ["admin", "read"], "grants": [{"role": "admin", "streams": "*"}]}
    answer = client.post("/v1/tokens", json=body)
    assert answer.status_code == 201, answer.text
    token = answer.json()["token"]
    secrets.texts["API token"] = token.removeprefix(f"acto_{answer.json()['id']}_")
    with httpx.Client(base_url=secrets.service.url, trust_env=False, timeout=60) as other:
        assert other.get("/v1/streams", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert other.get("/v1/streams", headers={"Authorization": f"Bearer {token}x"}).status_code == 401
        assert other.get("/v1/streams", params={"token": token}).status_code >= 400


def give_sinks(secrets: Secrets) -> None:
    """Each is tried at once, and fails with its secret in hand: nobody listens at port 9."""
    hook = {"url": f"https://127.0.0.1:9/{SINK_SECRET}-path", "headers": {"X-Key": f"{SINK_SECRET}-header"}}
    server: dict[str, Any] = {"host": "127.0.0.1", "port": 9, "username": f"{SINK_SECRET}-name"}
    letters = {"sender": "a@example.org", "recipients": ["b@example.org"], "password": f"{SINK_SECRET}-smtp"}
    configs = {"webhook": hook, "mqtt": {**server, "password": f"{SINK_SECRET}-mqtt"}, "email": {**server, **letters}}
    for kind, config in configs.items():
        added = secrets.service.client.post("/v1/sinks", json={"kind": kind, "name": kind, "config": config})
        assert added.status_code == 201, added.text
        if kind == "webhook":
            secrets.texts["webhook's key"] = added.json()["secret"].removeprefix("whsec_")
        tried = secrets.service.client.post(f"/v1/sinks/{added.json()['id']}/test")
        assert SINK_SECRET not in tried.text
        refused = secrets.service.client.post(
            "/v1/sinks", json={"kind": kind, "name": kind, "config": {**config, "password": [SINK_SECRET]}}
        )
        assert refused.status_code == 422 and SINK_SECRET not in refused.text
    secrets.texts["secrets of sinks"] = SINK_SECRET


GIVERS: tuple[Callable[[Secrets], None], ...] = (give_passwords, give_sessions, give_tokens, give_sinks)


def test_secrets_of_access_appear_nowhere(own_service: Service):
    own_service.environment |= {"ACTOSCOPE_LOG_LEVEL": "debug", "ACTOSCOPE_SINK_HOSTS": "127.0.0.1"}
    own_service.start(ready=False)
    secrets = Secrets(own_service)
    for give in GIVERS:
        give(secrets)
    found = {path: own_service.client.get(path).text for path in LOOKED_AT}
    found["command lines"] = command_lines(own_service)
    own_service.stop()
    found["log"] = own_service.log()
    for file in (own_service.folder / "data").glob("*.db*"):
        found[file.name] = file.read_bytes().decode("latin-1")
    assert "anna" in found["/v1/users"] and "canary" in found["/v1/tokens"], "it was let in"
    assert "login" in found["/v1/audit"]
    for name, secret in secrets.texts.items():
        assert len(secret) >= 20
        for place, text in found.items():
            assert secret not in text, f"{name} in {place}"


LOOKED_AT = (
    *("/v1/me", "/v1/users", "/v1/tokens", "/v1/audit", "/v1/streams", "/v1/sinks", "/v1/deliveries"),
    *("/metrics", "/readyz", "/openapi.json"),
)


def command_lines(service: Service) -> str:
    """Arguments and environments of every process of the service."""
    text = ""
    parent = psutil.Process(service.pid)
    for process in (parent, *parent.children(recursive=True)):
        text += " ".join(process.cmdline()) + str(process.environ())
    return text
