"""The service behind a reverse proxy: docs/proxy.md's examples in the real nginx and Caddy, and whom to believe."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from service.settings import SettingsError, load_settings
from tests.service.conftest import URL, RunningApi, running_api
from tests.service.scripted import JPEG
from tests.service.test_routes_recordings import CONTENT, add_recording
from tests.service.test_routes_streams import problem
from tests.support.proxies import examples, proxy

ROOT = "/cameras"


@dataclass
class Published:
    """The service as clients of the proxy know it: ``origin`` and ``base`` without a slash at the end."""

    api: RunningApi
    origin: str
    root: str
    client: httpx.Client
    credential: dict[str, str]

    @property
    def base(self) -> str:
        return self.origin + self.root

    @property
    def ws(self) -> str:
        return f"ws{self.base.removeprefix('http')}/v1/ws"


@pytest.fixture(scope="module", params=["nginx", "nginx below a path", "caddy", "caddy below a path"])
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    program, _, path = request.param.partition(" ")
    root = ROOT if path else ""
    with (
        running_api(tmp_path_factory, root_path=root) as api,
        proxy(program, examples(program)[bool(path)], api.port, tmp_path_factory.mktemp("proxy")) as origin,
        httpx.Client(timeout=60, trust_env=False, headers=credential(api)) as client,
    ):
        yield Published(api, origin, root, client, credential(api))


def credential(api: RunningApi) -> dict[str, str]:
    """What comes by a proxy is nobody's own machine: it needs one."""
    return {"Authorization": f"Bearer {api.add_token('admin', ('read', 'control', 'admin'))['token']}"}


def test_proxy_publishes_everything_the_page_needs(published: Published):
    client, base = published.client, published.base
    # The page and its files, relative to a folder.
    page = client.get(base, follow_redirects=True)
    assert page.url.path == f"{published.root}/"
    for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert client.get(page.url.join(path)).status_code == 200, path
    assert client.head(f"{base}/readyz").status_code == 200
    # Changes from our own page alone.
    added = client.post(f"{base}/v1/streams", json={"url": URL}, headers={"Origin": published.origin})
    assert added.status_code == 201, added.text
    assert added.headers["location"] == f"{published.root}/v1/streams/{added.json()['id']}"
    assert client.get(published.origin + added.headers["location"]).json() == added.json()
    for origin in ("http://evil.example", published.api.url, "https://127.0.0.1"):
        problem(client.post(f"{base}/v1/streams", json={"url": URL}, headers={"Origin": origin}), 403)
    # Recordings, by the paths that answers give.
    recording = add_recording(published.api)
    shown = client.get(f"{base}/v1/recordings/{recording['id']}").json()
    video = client.get(published.origin + shown["video"], headers={"Range": "bytes=5-9"})
    assert (video.status_code, video.content) == (206, CONTENT[5:10])
    assert client.get(f"{base}/v1/recordings").json()["items"] == [shown]
    # The websocket.
    with connect(
        published.ws, origin=Origin(published.origin), proxy=None, additional_headers=published.credential
    ) as socket:
        assert json.loads(socket.recv())["type"] == "hello"
    refusals = ((published.ws, "http://evil.example", 403), (published.ws + "x", published.origin, 404))
    for url, origin, status in refusals:
        with pytest.raises(InvalidStatus) as refused:
            connect(url, origin=Origin(origin), proxy=None, additional_headers=published.credential)
        assert refused.value.response.status_code == status
    problem(client.get(f"{base}/v1/nothing"), 404)
    # Whoever is not known.
    problem(httpx.get(f"{base}/v1/streams", trust_env=False, timeout=60), 401)


def test_proxy_hands_on_live_pictures_as_they_come(published: Published, monkeypatch: pytest.MonkeyPatch):
    over = asyncio.Event()

    async def one_more_and_no_end(stream_id: str) -> AsyncIterator[bytes]:
        yield JPEG
        await over.wait()

    stream = published.api.add()
    monkeypatch.setattr(published.api.supervisor, "watch", one_more_and_no_end)
    seen = b""
    try:
        with published.client.stream("GET", f"{published.base}/v1/streams/{stream['id']}/live.mjpeg") as answer:
            for part in answer.iter_raw():
                seen += part
                if seen.count(JPEG) == 2:
                    break
    finally:
        published.api.loop.call_soon_threadsafe(over.set)
    assert seen.count(JPEG) == 2


def test_root_path_without_its_slash_leads_to_the_page_with_the_same_query(run_api: Callable[..., RunningApi]):
    client = run_api(root_path=ROOT).client
    for query in ("", "?theme=dark&name=a%20b"):
        answer = client.get(ROOT + query)
        assert (answer.status_code, answer.headers["location"]) == (308, f"{ROOT}/{query}")


@pytest.mark.parametrize("path", ["", ROOT])
def test_root_path_holds_whether_the_proxy_takes_it_off_or_not(run_api: Callable[..., RunningApi], path: str):
    api = run_api(root_path=ROOT)
    answer = api.client.post(f"{path}/v1/streams", json={"url": URL})
    assert answer.headers["location"] == f"{ROOT}/v1/streams/{answer.json()['id']}"
    assert problem(api.client.get(f"{path}/v1/nothing"), 404)["instance"] == f"{ROOT}/v1/nothing"
    assert api.client.get(f"{path}/openapi.json").json()["servers"] == [{"url": ROOT}]
    assert problem(api.client.put(f"{path}/v1/streams"), 405)
    assert api.client.put(f"{path}/v1/streams").headers["allow"] == "GET, HEAD, POST"
    assert api.client.get(f"{path}/").status_code == 200
    assert api.client.get(ROOT).headers["location"] == f"{ROOT}/"
    with connect(f"ws://127.0.0.1:{api.port}{path}/v1/ws", proxy=None) as socket:
        assert json.loads(socket.recv())["type"] == "hello"


SAID = {"X-Forwarded-Host": "cameras.example", "X-Forwarded-Proto": "https", "Origin": "https://cameras.example"}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 201),
        ({"X-Forwarded-Host": "cameras.example:443"}, 201),
        ({"X-Forwarded-Host": "evil.example, cameras.example"}, 201),
        ({"X-Forwarded-Host": "cameras.example:8443", "Origin": "https://cameras.example:8443"}, 201),
        ({"X-Forwarded-Host": "[2001:db8::7]", "Origin": "https://[2001:db8::7]"}, 201),
        ({"X-Forwarded-Proto": "HTTPS"}, 201),
        ({"Origin": "https://cameras.example:8443"}, 403),
        ({"Origin": "http://cameras.example"}, 403),  # a page that anybody on the way may have written
        ({"Origin": "https://evil.example"}, 403),
        ({"X-Forwarded-Host": "cameras.example, evil.example"}, 403),
        ({"X-Forwarded-Host": "cameras.example/x"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://["}, 403),
        ({"Origin": "https://cameras.example:99999"}, 403),
    ],
)
def test_host_and_scheme_of_a_trusted_proxy_decide_whose_page_it_is(shared_api: RunningApi, changes, status):
    answer = shared_api.client.post(
        "/v1/streams", json={"url": URL}, headers={**SAID, **credential(shared_api), **changes}
    )
    assert answer.status_code == status, answer.text


def test_host_of_a_proxy_that_is_not_trusted_is_passed_over(run_api: Callable[..., RunningApi]):
    api = run_api(trusted_proxies=("192.0.2.0/24",))
    said = {**SAID, **credential(api)}
    problem(api.client.post("/v1/streams", json={"url": URL}, headers=said), 403)
    own = {**said, "Origin": api.url}
    assert api.client.post("/v1/streams", json={"url": URL}, headers=own).status_code == 201


@pytest.mark.parametrize("text", ["10.0.0.0/8, ::1", '["10.0.0.0/8", "::1"]'])
def test_trusted_proxies_are_addresses_or_networks(monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.setenv("ACTOSCOPE_TRUSTED_PROXIES", text)
    assert load_settings().trusted_proxies == ("10.0.0.0/8", "::1")
    monkeypatch.setenv("ACTOSCOPE_TRUSTED_PROXIES", "nginx")
    with pytest.raises(SettingsError, match=r"ACTOSCOPE_TRUSTED_PROXIES.*such as 10\.0\.0\.0/8, got nginx"):
        load_settings()


@pytest.mark.parametrize(("text", "path"), [("/cameras/", "/cameras"), ("/", ""), ("/a/b-c.d", "/a/b-c.d")])
def test_root_path_has_no_slash_at_its_end(monkeypatch: pytest.MonkeyPatch, text: str, path: str):
    monkeypatch.setenv("ACTOSCOPE_ROOT_PATH", text)
    assert load_settings().root_path == path


@pytest.mark.parametrize("text", ["cameras", "//cameras", "/a b", "/../x", "/a?b", "/v1", "/web/x", "http://h/cameras"])
def test_root_path_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.setenv("ACTOSCOPE_ROOT_PATH", text)
    with pytest.raises(SettingsError, match=r"ACTOSCOPE_ROOT_PATH.*expected a path such as /cameras"):
        load_settings()
