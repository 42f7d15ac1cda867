"""The log-in page, and what the pages offer to whom."""

from collections.abc import Callable
from typing import Any

import pytest

from service.access.accounts import Actor, UserChange
from service.rights import LOCAL, Role
from tests.service.conftest import RunningApi
from tests.service.web.conftest import PASSWORD, add_user, log_in
from tests.service.web.test_models_and_training import VERSIONS, Answers, items, part
from tests.support.service import wait_for

Visit = Callable[[str], Any]


@pytest.mark.parametrize(
    ("root_path", "path"),
    [
        ("", "/"),
        ("/a/cameras", "/settings#tokens"),
        pytest.param("", "/settings#tokens", marks=pytest.mark.exhaustive),
        pytest.param("/a/cameras", "/", marks=pytest.mark.exhaustive),
    ],
    indirect=["root_path"],
)
def test_page_leads_to_the_log_in_and_back(visit: Visit, api: RunningApi, root_path: str, path: str):
    add_user(api, "anna")
    page = visit(path)
    page.wait_for_url("**/login?next=*")
    log_in(page, "anna")
    page.wait_for_url(f"{api.url}{root_path}{path}")
    page.locator("#principal").get_by_text("anna").wait_for()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login?next=*")
    page.goto(f"{api.url}{root_path}/")
    page.wait_for_url("**/login?next=*")


def test_wrong_password_is_said_and_another_try_is_possible(visit: Visit, api: RunningApi):
    add_user(api, "anna")
    page = visit("/login")
    log_in(page, "anna", PASSWORD + "!")
    page.get_by_role("alert").wait_for()
    assert page.url.endswith("/login")
    log_in(page, "Anna")
    page.wait_for_url(f"{api.url}/")


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example/",
        *(
            pytest.param(each, marks=pytest.mark.exhaustive)
            for each in ("https://evil.example/", "settings/../../x", "javascript:alert(1)")
        ),
    ],
)
def test_log_in_leads_to_no_other_place_than_our_own_pages(visit: Visit, api: RunningApi, wanted: str):
    add_user(api, "anna")
    page = visit(f"/login?next={wanted}")
    log_in(page, "anna")
    page.wait_for_url(f"{api.url}/")


def test_whoever_types_before_the_service_answers_is_not_moved_to_another_field(
    browser: Any, api: RunningApi, root_path: str
):
    add_user(api, "anna")
    page = browser.new_page()
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/v1/me", hold)
    page.goto(f"{api.url}{root_path}/login")
    wait_for(lambda: page.wait_for_timeout(10) or held, 10, "the page asks who is there")
    page.get_by_label("Password").focus()
    with page.expect_event("requestfinished"):
        held[0].continue_()
    page.wait_for_timeout(200)  # for the page to take the answer
    page.keyboard.type(PASSWORD)
    assert page.get_by_label("Password").input_value() == PASSWORD
    assert page.get_by_label("Name").input_value() == ""
    page.close()


def test_whoever_is_let_in_already_sees_no_log_in(visit: Visit, api: RunningApi):
    page = visit("/login")
    page.wait_for_url(f"{api.url}/")
    page.get_by_text("ready", exact=True).wait_for()
    assert page.get_by_role("button", name="Log out").count() == 0


def test_session_that_ends_leads_to_the_log_in(visit: Visit, api: RunningApi):
    add_user(api, "boss")
    user_id = add_user(api, "anna")
    page = visit("/login")
    log_in(page, "anna")
    page.get_by_text("ready", exact=True).wait_for()
    change = UserChange(password=PASSWORD + "!")
    api.call(api.context.access.accounts.change(Actor(LOCAL), user_id, change))
    page.wait_for_url("**/login?next=*")


@pytest.mark.parametrize(
    ("role", "offered"),
    [
        (Role.VIEWER, {"Zones"}),
        (Role.OPERATOR, {"Zones", "Restart"}),
        (Role.ADMIN, {"Zones", "Restart", "Record", "Stop", "Delete"}),
    ],
)
def test_page_offers_what_the_role_may(visit: Visit, api: RunningApi, role: Role, offered: set[str]):
    api.add(name="Gate")
    add_user(api, "boss")
    add_user(api, "anna", role)
    page = visit("/login")
    log_in(page, "anna")
    page.locator(".card").get_by_text("Gate").wait_for()
    buttons = set(page.locator(".card .actions button:visible").all_inner_texts())
    assert buttons == offered
    assert page.get_by_role("button", name="Add stream").is_visible() == (role is Role.ADMIN)
    page.locator(".card").get_by_role("button", name="Zones").click()
    page.get_by_role("dialog").wait_for()
    assert page.get_by_role("button", name="New zone").is_visible() == (role is Role.ADMIN)


def test_settings_of_a_viewer_are_the_password_alone(visit: Visit, api: RunningApi):
    add_user(api, "boss")
    add_user(api, "anna", Role.VIEWER)
    page = visit("/login?next=settings")
    log_in(page, "anna")
    page.get_by_label("Present password").wait_for()
    assert page.locator("#sections a").all_inner_texts() == ["Password"]
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_label("New password").fill("short")
    page.get_by_role("button", name="Change password").click()
    page.locator("#password-error").get_by_text("12").wait_for()
    page.get_by_label("New password").fill("staple by staple")
    page.get_by_role("button", name="Change password").click()
    page.get_by_text("The password is changed").wait_for()
    page.reload()  # the session goes on as a new one
    page.get_by_label("Present password").wait_for()


def test_viewer_is_offered_neither_promotion_nor_training(visit: Visit, api: RunningApi):
    add_user(api, "boss")
    add_user(api, "anna", Role.VIEWER)
    page = visit("/login?next=models")
    answers = Answers(page)
    answers.to("models/surveillance/versions", lambda method, body: (200, items(*VERSIONS)))
    log_in(page, "anna")
    part(page, "surveillance@4").get_by_text("Refused.").wait_for()
    assert page.locator("main button:visible").count() == 0
