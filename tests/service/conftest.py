"""The API in this process: the real application, store and hub over a scripted supervisor, asked by ASGI or by TCP."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from service.access import access
from service.access.passwords import Passwords
from service.app import create_app
from service.routes.context import Context
from service.settings import Settings
from tests.service.access.desk import CHEAP
from tests.service.scripted import ScriptedSupervisor
from tests.support.fresh_database import fresh_database
from tests.support.postgres import postgres_url  # noqa: F401 - a fixture: one server a test process
from tests.support.service import free_port

LABELS = ("push up", "squat", "playing cricket")
MODEL = "surveillance"
PASSWORD = "correct horse battery"
URL = "rtsp://viewer:c4n4ry@127.0.0.1:9/cam"


def write_model(folder: Path, labels: tuple[str, ...] = LABELS) -> None:
    """A weights folder as far as it can be read without its network."""
    folder.mkdir(parents=True)
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels))
    card = {
        "name": folder.name,
        "kind": "se_i3d",
        "num_classes": len(labels),
        "provenance": "made by a test",
        "licence": "none",
        "sha256": {"labels.txt": "0" * 64, "model.keras": "0" * 64},
    }
    (folder / "card.json").write_text(json.dumps(card))


def settings_in(folder: Path) -> Settings:
    """What a service in this folder is told: a network, a video, a database without a row."""
    media = folder / "media"
    media.mkdir()
    (media / "walk.mp4").write_bytes(b"only its place is looked at here")
    write_model(folder / "weights" / MODEL)
    data, weights = fresh_database(folder / "data").parent, folder / "weights"
    share = 0.0  # else one person in five is drawn
    return Settings(data_dir=data, weights_dir=weights, media_roots=(media,), max_streams=4, audit_share=share)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture(scope="module", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Every application hashes one password as it starts; what a hash costs, access/test_passwords.py shows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "Passwords", lambda: Passwords(CHEAP))
        yield


class _PromptServer(uvicorn.Server):
    """Ends as soon as it is told, where uvicorn looks ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        ticking, told = asyncio.ensure_future(super().main_loop()), asyncio.ensure_future(self._told.wait())
        await asyncio.wait((ticking, told), return_when=asyncio.FIRST_COMPLETED)
        for waiting in (ticking, told):
            waiting.cancel()

    def end(self) -> None:
        """From any thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told.set)


class RunningApi:
    """The application under uvicorn on a loopback port, in a thread. ``call`` runs a coroutine on its event loop."""

    def __init__(self, settings: Settings, supervisor: type[ScriptedSupervisor] = ScriptedSupervisor) -> None:
        self.settings = settings
        self.app: FastAPI = create_app(settings, supervisor)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}/v1/ws"
        config = uvicorn.Config(
            self.app,
            port=self.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
            lifespan="on",
            proxy_headers=False,
        )
        self._server = _PromptServer(config)
        self._thread = threading.Thread(
            target=self._server.run, daemon=True
        )  # with the loop that it serves with in earnest
        self.client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        self._visitors: list[httpx.Client] = []

    def start(self) -> RunningApi:
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        self._server.end()
        self._thread.join(15)
        assert not self._thread.is_alive(), "the server did not stop"
        for client in (self.client, *self._visitors):
            client.close()

    @property
    def context(self) -> Context:
        context: Context = self.app.state.context
        return context

    @property
    def supervisor(self) -> ScriptedSupervisor:
        supervisor = self.context.supervisor
        assert isinstance(supervisor, ScriptedSupervisor)
        return supervisor

    def call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        loop = self.supervisor.loop
        assert loop is not None
        return loop

    def add(self, url: str = URL, **options: Any) -> dict[str, Any]:
        answer = self.client.post("/v1/streams", json={"url": url, **options})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def add_user(self, name: str, role: str, streams: str = "*", **changes: Any) -> dict[str, Any]:
        """By whom the client is logged in as; PASSWORD is the password."""
        grants = [{"role": role, "streams": streams}]
        body = {"name": name, "password": PASSWORD, "grants": grants, **changes}
        answer = self.client.post("/v1/users", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def log_in(self, name: str, client: httpx.Client | None = None, password: str = "") -> dict[str, Any]:
        """The client (default: the API's own) keeps the cookie. → who that is."""
        answer = (client or self.client).post("/v1/login", json={"name": name, "password": password or PASSWORD})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def visitor(self, **headers: str) -> httpx.Client:
        """A client of its own, with nothing but these headers; ``token="acto_…"`` as Authorization."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if token := named.pop("token", None):
            named["Authorization"] = f"Bearer {token}"
        client = httpx.Client(base_url=self.url, timeout=60, trust_env=False, headers=named)
        self._visitors.append(client)
        return client

    def add_token(self, role: str = "viewer", scopes: tuple[str, ...] = ("read",), **changes: Any) -> dict[str, Any]:
        grants = [{"role": role, "streams": changes.pop("streams", "*")}]
        answer = self.client.post("/v1/tokens", json={"name": role, "scopes": scopes, "grants": grants, **changes})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())


@pytest.fixture
def run_api(settings: Settings) -> Iterator[Callable[..., RunningApi]]:
    """Starts the API, again on the same data folder if called again after ``stop``."""
    running: list[RunningApi] = []

    def start(**changes: Any) -> RunningApi:
        running.append(RunningApi(settings.model_copy(update=changes)).start())
        return running[-1]

    yield start
    for api in running:
        if api._thread.is_alive():
            api.stop()


@pytest.fixture
def api(run_api: Callable[..., RunningApi]) -> RunningApi:
    return run_api()


@contextmanager
def running_api(tmp_path_factory: pytest.TempPathFactory, **changes: Any) -> Iterator[RunningApi]:
    """For fixtures of a whole file."""
    settings = settings_in(tmp_path_factory.mktemp("shared"))
    api = RunningApi(settings.model_copy(update=changes)).start()
    try:
        yield api
    finally:
        api.stop()


@pytest.fixture(scope="module")
def file_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """One application for all tests of a file that leave it as it was, but for streams."""
    with running_api(tmp_path_factory) as api:
        yield api


@contextmanager
def without_new_streams(api: RunningApi) -> Iterator[RunningApi]:
    """The streams that are added meanwhile are deleted in the end, and the supervisor has its former script."""
    before = api.call(api.context.store.stream_ids())
    script = api.supervisor.pictures, api.supervisor.people
    yield api
    for stream_id in api.call(api.context.store.stream_ids()) - before:
        api.call(api.context.registry.remove(stream_id))
    api.supervisor.pictures, api.supervisor.people = script
    api.supervisor.calls.clear()


@pytest.fixture
def shared_api(file_api: RunningApi) -> Iterator[RunningApi]:
    """``file_api`` for one test, which may add streams. Whatever else it changes, it asks for ``api``."""
    with without_new_streams(file_api) as api:
        yield api


def action(event_id: str = "evt_1", kind: str = "started", **changes: Any) -> dict[str, Any]:
    """An action message as a stream process sends it."""
    message = {
        "type": "action",
        "event_id": event_id,
        "stream_id": "str_0000000000000001",
        "track_id": 7,
        "action": "push up",
        "kind": kind,
        "confidence": 0.8,
        "start_s": 1.0,
        "end_s": 3.0 if kind == "ended" else None,
        "captured_at": "2026-05-04T03:02:01.000Z",
    }
    return {**message, **changes}


def tracks(index: int = 0, stream_id: str = "str_0000000000000001", **changes: Any) -> dict[str, Any]:
    """A tracks message with one labelled and one new person."""
    labelled = {"track_id": 7, "box": [0, 0, 1, 1], "state": "confirmed", "action": "push up", "confidence": 0.8}
    new = {"track_id": 8, "box": [0, 0, 1, 1], "state": "tentative", "action": None, "confidence": None}
    message = {
        "type": "tracks",
        "stream_id": stream_id,
        "frame_index": index,
        "time_s": index / 25,
        "captured_at": "2026-05-04T03:02:01.000Z",
        "age_ms": 5,
        "tracks": [labelled, new],
    }
    return {**message, **changes}
