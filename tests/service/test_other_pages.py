"""Requests of other sites' pages, and for other hosts."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.service.conftest import URL, RunningApi, running_api, without_new_streams
from tests.service.test_access import ws_status
from tests.service.test_routes_streams import problem


@pytest.fixture(scope="module")
def panel_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """Which another origin may change."""
    with running_api(tmp_path_factory, origins=("https://panel.example",)) as api:
        yield api


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://panel.example"}, 201),
        ({"Origin": "https://panel.example", "Sec-Fetch-Site": "cross-site"}, 201),
        ({"Origin": "https://panel.example:8443"}, 403),
        ({"Origin": "http://panel.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 201),
    ],
)
def test_changes_come_from_our_own_pages_as_json(panel_api: RunningApi, headers: Any, status: int):
    content, said = json.dumps({"url": URL}).encode(), {"Content-Type": "application/json", **headers}
    with without_new_streams(panel_api) as api:
        answer = api.client.post("/v1/streams", content=content, headers=said)
    assert answer.status_code == status, answer.text


def test_pages_of_other_sites_embed_nothing_of_ours(shared_api: RunningApi):
    embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    problem(shared_api.client.get("/v1/streams", headers=embedded), 403)
    opened = {**embedded, "Sec-Fetch-Mode": "navigate"}
    for place in ("iframe", "frame", "embed", "object"):
        problem(shared_api.client.get("/v1/streams", headers={**opened, "Sec-Fetch-Dest": place}), 403)
    for headers in (opened, {**opened, "Sec-Fetch-Dest": "document"}):
        assert shared_api.client.get("/v1/streams", headers=headers).status_code == 200
    assert shared_api.client.get("/healthz", headers=embedded).status_code == 200


def test_only_listed_hosts_are_answered(run_api: Callable[..., RunningApi]):
    api = run_api(hosts=("cameras.example", "[2001:db8::7]:8000"))
    for host, status in (
        ("cameras.example", 401),
        ("CAMERAS.example.:8000", 401),
        ("[2001:db8::7]:8000", 401),
        ("[2001:db8::7]:8001", 421),
        ("evil.example", 421),
        ("cameras.example.evil.example", 421),
        ("192.0.2.1", 421),
        ("127.0.0.1:8000", 200),
        ("localhost.", 200),
    ):
        assert api.client.get("/v1/me", headers={"Host": host}).status_code == status, host
        assert api.client.get("/healthz", headers={"Host": host}).status_code == (421 if status == 421 else 200), host
    assert ws_status(api, {"X-Forwarded-Host": "evil.example"}) == 421
