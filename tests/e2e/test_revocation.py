"""Rights that end while an answer lasts: websockets and live pictures follow within a second, and leak nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, update
from sqlalchemy.orm import Session
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from service.settings import Settings
from service.storage.access.tables import SessionRow, TokenRow, UserRow
from tests.e2e.conftest import InMode
from tests.service.conftest import RunningApi, write_model
from tests.support.access_world import MODEL, A, B, Camera, MarkedSupervisor, World
from tests.support.service import wait_for

LIMIT_S = 1.0  # as promised: a look each half second, and what follows it
NOT_ALLOWED = 1008


class EndlessPictures(MarkedSupervisor):
    """Cameras that go on."""

    async def watch(self, stream_id: str) -> AsyncIterator[bytes]:
        while True:
            yield await self.snapshot(stream_id, 0.0)
            await asyncio.sleep(0.02)


class Scene:
    """The service with two cameras, a token's holder and a user who is logged in; both see camera A alone."""

    def __init__(self, settings: Settings) -> None:
        self.api = RunningApi(settings, EndlessPictures).start()
        self.world = World(settings, self.api.context.store)
        self.admin = self._bearer("admin", [{"role": "admin", "streams": "*"}], ["read", "control", "admin"])
        self.holder = self._bearer("holder", [{"role": "viewer", "streams": A.id("str")}])
        self.member = self._bearer("member", [{"role": "viewer", "streams": "group:yard"}])
        self.api.call(self.world.restore())
        self.user = {"Cookie": "actoscope=secret"}
        self.write(_log_in)

    def _bearer(self, name: str, grants: list[dict[str, Any]], scopes: list[str] | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.world.token(name, scopes or ['read'], grants)}"}

    def write(self, work: Callable[[Session], Any]) -> None:
        """As another process does it (``actoscope users``): nobody in the service is told."""
        self.api.call(self.api.context.database.write(work))

    def change(self, camera: Camera, groups: list[str]) -> None:
        path = f"{self.api.url}/v1/streams/{camera.id('str')}"
        httpx.patch(path, json={"groups": groups}, headers=self.admin, trust_env=False).raise_for_status()

    def publish(self, *cameras: Camera) -> None:
        self.api.call(self.world.publish(self.api.context.hub, cameras))

    @contextmanager
    def subscribed(self, headers: dict[str, str]) -> Iterator[ClientConnection]:
        with connect(self.api.ws_url, proxy=None, additional_headers=headers) as client:
            assert json.loads(client.recv(timeout=30))["type"] == "hello"
            yield client


def _log_in(session: Session) -> None:
    now = time.time()
    grants = [{"role": "viewer", "streams": A.id("str"), "history_since": None}]
    session.add(
        UserRow(
            **{"id": "usr_1", "name": "anna", "key": "anna", "password_hash": "-", "grants": grants, "enabled": True},
            **{"created_at": now - 9, "changed_at": now - 9},
        )
    )
    key = hashlib.sha256(b"secret").hexdigest()
    times = {"created_at": now, "used_at": now}
    session.add(SessionRow(id=key, user_id="usr_1", address="", agent="", **times))


@pytest.fixture
def scene(tmp_path: Path, in_mode: InMode) -> Iterator[Scene]:
    write_model(tmp_path / "weights" / MODEL)
    asked = Settings(data_dir=tmp_path / "data", weights_dir=tmp_path / "weights")
    made = Scene(in_mode(asked, EndlessPictures))
    yield made
    made.api.stop()


def token_revoked(session: Session) -> None:
    session.execute(update(TokenRow).where(TokenRow.name == "holder").values(revoked_at=time.time()))


def token_expires(session: Session) -> None:
    session.execute(update(TokenRow).where(TokenRow.name == "holder").values(expires_at=time.time()))


def password_changed(session: Session) -> None:
    session.execute(update(UserRow).where(UserRow.name == "anna").values(password_hash="other", changed_at=time.time()))
    session.execute(delete(SessionRow))


def role_changed(session: Session) -> None:
    grants = [{"role": "operator", "streams": A.id("str"), "history_since": None}]
    session.execute(update(UserRow).where(UserRow.name == "anna").values(grants=grants, changed_at=time.time()))


def user_disabled(session: Session) -> None:
    session.execute(update(UserRow).where(UserRow.name == "anna").values(enabled=False, changed_at=time.time()))


def user_removed(session: Session) -> None:
    session.execute(delete(UserRow).where(UserRow.name == "anna"))


@pytest.mark.parametrize(
    "end", [token_revoked, token_expires, password_changed, role_changed, user_disabled, user_removed]
)
def test_end_of_rights_closes_websocket_and_live_pictures_within_a_second(scene: Scene, end: Callable[[Session], None]):
    headers = scene.holder if end.__name__.startswith("token") else scene.user
    live = f"{scene.api.url}/v1/streams/{A.id('str')}/live.mjpeg"
    with scene.subscribed(headers) as client, httpx.Client(headers=headers, trust_env=False, timeout=30) as http:
        with http.stream("GET", live) as pictures:
            chunks = pictures.iter_raw()
            assert pictures.status_code == 200 and A.mark("picture").encode() in next(chunks)
            scene.write(end)
            ended_at = time.monotonic()
            for _ in chunks:
                assert time.monotonic() < ended_at + LIMIT_S, "the pictures go on"
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                client.recv(timeout=LIMIT_S)
        assert time.monotonic() < ended_at + LIMIT_S
        assert closed.value.rcvd is not None and closed.value.rcvd.code == NOT_ALLOWED
        assert closed.value.rcvd.reason


def test_credential_that_expires_while_it_is_used_ends_by_itself(scene: Scene):
    expires_at = time.time() + 6.0
    scene.write(lambda session: session.execute(update(TokenRow).values(expires_at=expires_at)))
    with scene.subscribed(scene.holder) as client, pytest.raises(ConnectionClosed) as closed:
        while True:
            client.recv(timeout=30)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == NOT_ALLOWED
    assert 0 <= time.time() - expires_at < LIMIT_S


def test_grant_that_shrinks_takes_the_stream_out_without_one_message_more(scene: Scene):
    for camera in (A, B):
        scene.change(camera, ["yard"])
    with scene.subscribed(scene.member) as client:
        stop = threading.Event()

        def publish() -> None:
            while not stop.is_set():
                scene.publish(A, B)

        publisher = threading.Thread(target=publish)
        publisher.start()
        try:
            wait_for(lambda: A.id("str") in str(client.recv(timeout=5)), 5, "messages of A come")
            scene.change(A, [])  # from its answer on nothing of A may be sent
            last = scene.api.context.hub.seq
            deadline = time.monotonic() + 0.5
            got = []
            while time.monotonic() < deadline:
                got.append(json.loads(client.recv(timeout=5)))
        finally:
            stop.set()
            publisher.join(10)
    late = [message for message in got if message.get("seq", 0) > last]
    assert {message["stream_id"] for message in late} == {B.id("str")}


def test_stream_that_joins_a_group_comes_to_those_who_see_the_group(scene: Scene):
    scene.change(B, ["yard"])
    with scene.subscribed(scene.member) as client:
        scene.change(A, ["yard"])
        scene.publish(A)
        wait_for(lambda: A.id("str") in str(client.recv(timeout=5)), 5, "messages of A come")
