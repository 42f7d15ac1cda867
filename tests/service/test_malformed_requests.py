"""The well-formed half of target T5 against the real API without processes: every call of the list is refused."""

from __future__ import annotations

import httpx

from benchmarks.chaos.malformed_requests import FIELDS, calls
from service.bodies import StreamCreate, StreamPatch
from tests.service.conftest import RunningApi
from tests.support.service import free_port


def test_every_malformed_request_gets_a_4xx(api: RunningApi):
    stream_id = api.add()["id"]
    wrong = []
    for call in calls(stream_id, free_port()):
        url = httpx.URL(api.url).copy_with(raw_path=call.path.encode())
        status = api.client.request(call.method, url, content=call.content, headers=call.headers).status_code
        if not 400 <= status < 500:
            wrong.append((status, call.method, call.path, call.content[:80]))
    assert wrong == []


def test_every_field_of_a_request_has_malformed_values():
    assert set(FIELDS) == set(StreamCreate.model_fields) | set(StreamPatch.model_fields)
