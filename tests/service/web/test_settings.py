"""The settings page: users and tokens over the real routes."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.service.conftest import RunningApi
from tests.service.web.conftest import PASSWORD, add_user, log_in

Visit = Callable[[str], Any]


@pytest.fixture
def settings_page(visit: Visit, api: RunningApi) -> Any:
    """As the admin “boss” sees it."""
    add_user(api, "boss")
    page = visit("/login?next=settings")
    log_in(page, "boss")
    page.get_by_role("heading", name="Users").wait_for()
    return page


def entry(page: Any, name: str) -> Any:
    return page.locator(".entries li").filter(has=page.get_by_text(name, exact=True))


def test_first_user_ends_the_say_of_this_machine_and_has_to_be_an_admin(visit: Visit, api: RunningApi):
    page = visit("/settings")
    page.get_by_text("No user yet").wait_for()
    assert page.locator("#users-grants [name=role]").input_value() == "admin"
    page.locator("#users-form").get_by_label("Name").fill("anna")
    page.locator("#users-form").get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Add user").click()
    page.wait_for_url("**/login?next=settings*")
    log_in(page, "anna")
    entry(page, "anna").get_by_text("admin of all streams").wait_for()


def test_user_is_added_limited_disabled_and_removed(settings_page: Any, api: RunningApi):
    page, form = settings_page, settings_page.locator("#users-form")
    form.get_by_label("Name").fill("anna")
    form.get_by_label("Password").fill("short")
    page.get_by_role("button", name="Add user").click()
    page.locator("#users-error").get_by_text("12").wait_for()
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_label("Streams").fill("group:yard")
    form.get_by_label("Nothing from before").fill("2026-05-04T12:00")
    page.get_by_role("button", name="Add user").click()
    anna = entry(page, "anna")
    anna.get_by_text("viewer of group:yard since").wait_for()
    anna.get_by_role("button", name="Change").click()
    anna.get_by_label("Role").select_option("operator")
    anna.get_by_role("button", name="Save").click()
    anna.get_by_text("operator of group:yard since").wait_for()
    anna.get_by_role("button", name="Disable").click()
    anna.get_by_text("disabled").wait_for()
    page.once("dialog", lambda question: question.accept())
    anna.get_by_role("button", name="Remove").click()
    anna.wait_for(state="detached")


def test_last_admin_stays_and_the_page_says_why(settings_page: Any):
    page = settings_page
    page.once("dialog", lambda question: question.accept())
    entry(page, "boss").get_by_role("button", name="Remove").click()
    entry(page, "boss").get_by_role("alert").get_by_text("nobody would be left").wait_for()


def test_history_that_nobody_touched_stays_to_the_second(settings_page: Any, api: RunningApi):
    api.log_in("boss")
    grant = {"role": "viewer", "streams": "*", "history_since": "2026-05-04T12:00:31.500Z"}
    api.client.post("/v1/users", json={"name": "anna", "password": PASSWORD, "grants": [grant]})
    settings_page.reload()
    anna = entry(settings_page, "anna")
    anna.get_by_role("button", name="Change").click()
    anna.get_by_label("Role").select_option("operator")
    anna.get_by_role("button", name="Save").click()
    anna.get_by_text("operator of all streams since").wait_for()
    (_, user) = api.client.get("/v1/users").json()["items"]
    assert user["grants"] == [{**grant, "role": "operator"}]


def test_own_password_is_changed_by_who_knows_the_old_one(settings_page: Any, api: RunningApi):
    page, form = settings_page, settings_page.locator("#password-form")
    page.get_by_role("link", name="Password").click()
    for old, place, words in (
        ("not the old one", "#password-error", "the old password is wrong"),
        (PASSWORD, "#password-done", "other sessions have ended"),
    ):
        form.locator("[name=old_password]").fill(old)
        form.locator("[name=password]").fill("staple by staple by staple")
        form.get_by_role("button").click()
        page.locator(place).get_by_text(words).wait_for()
        assert page.url.endswith("/settings#account")
    api.log_in("boss", password="staple by staple by staple")


def test_token_is_shown_once_works_and_is_revoked(settings_page: Any, api: RunningApi):
    page = settings_page
    page.get_by_role("link", name="API tokens").click()
    page.locator("#tokens-form").get_by_label("Name").fill("Home Assistant")
    page.get_by_role("button", name="Add token").click()
    token = page.locator("#token-secret code").inner_text()
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{api.url}/v1/streams", headers=headers, trust_env=False, timeout=60).status_code == 200
    page.reload()
    row = entry(page, "Home Assistant")
    row.get_by_text("valid").wait_for()
    assert token not in page.content()
    page.once("dialog", lambda question: question.accept())
    row.get_by_role("button", name="Revoke").click()
    row.get_by_text("revoked").wait_for()
    assert httpx.get(f"{api.url}/v1/streams", headers=headers, trust_env=False, timeout=60).status_code == 401
