"""The page of one incident."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from service.rights import Role
from tests.service.conftest import RunningApi
from tests.service.web.conftest import AT_THE_ROOT_AND_BELOW, add_user, log_in
from tests.service.web.review_world import Told, gate
from tests.support.service import wait_for

Visit = Callable[[str], Any]


def incident_of(api: RunningApi) -> str:
    """→ the id of an incident with one event."""
    api.client.post("/v1/rules", json={"name": "Push ups", "actions": {"push up": 0.5}})
    gate(api, Told("evt_1", 3, 5))
    (incident,) = wait_for(lambda: api.client.get("/v1/incidents").json()["items"], 10, "an incident")
    return str(incident["id"])


@pytest.mark.parametrize("root_path", AT_THE_ROOT_AND_BELOW, indirect=True)
def test_incident_says_what_it_is_and_is_kept_by_a_key(visit: Visit, api: RunningApi, root_path: str):
    incident_id = incident_of(api)
    page = visit(f"/incidents/{incident_id}")
    page.get_by_role("heading", name="Push ups").wait_for()
    facts = page.locator("#facts").inner_text()
    for words in ("Gate", "push up", "person 7", "80 %"):
        assert words in facts
    page.keyboard.press("s")
    page.get_by_text("Kept: nothing removes its recordings.").wait_for()
    assert api.client.get(f"/v1/incidents/{incident_id}").json()["kept"]
    page.locator("#events").get_by_role("link", name="Review push up").click()
    page.wait_for_url(f"**{root_path}/review?event=evt_1")


def test_a_viewer_only_looks_and_comes_back_here_after_logging_in(visit: Visit, api: RunningApi):
    incident_id = incident_of(api)
    add_user(api, "boss")
    add_user(api, "guard", Role.VIEWER)
    page = visit(f"/incidents/{incident_id}")
    page.wait_for_url("**/login?next=*")
    log_in(page, "guard")
    page.wait_for_url(f"**/incidents/{incident_id}")
    page.get_by_role("heading", name="Push ups").wait_for()
    assert page.locator("#bar").get_by_role("button").all_inner_texts() != []
    for name in ("Keep", "Snooze"):
        assert page.get_by_role("button", name=name).count() == 0


def test_an_incident_that_is_not_there_says_so(visit: Visit):
    page = visit("/incidents/inc_0000000000000000")
    page.locator("#problem").get_by_text("no incident").wait_for()
