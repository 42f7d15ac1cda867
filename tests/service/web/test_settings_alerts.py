"""The settings page: sinks, deliveries and the audit over the real routes and a receiver of webhooks."""

import http.server
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.service.conftest import RunningApi
from tests.service.web.conftest import add_user, log_in
from tests.service.web.test_settings import entry
from tests.support.loopback_server import LoopbackServer

Visit = Callable[[str], Any]


class Receiver(LoopbackServer):
    """Answers webhooks with ``status``."""

    def __init__(self) -> None:
        super().__init__()
        self.status = 204
        self.ids: list[str] = []

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.ids.append(request.headers["webhook-id"])
        request.rfile.read(int(request.headers["Content-Length"]))
        request.send_response(self.status)
        request.send_header("Content-Length", "0")
        request.end_headers()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def api(run_api: Any) -> RunningApi:
    api: RunningApi = run_api(sink_hosts=("127.0.0.1",))
    return api


@pytest.fixture
def sinks_page(visit: Visit, api: RunningApi) -> Any:
    add_user(api, "boss")
    page = visit("/login?next=settings%23sinks")
    log_in(page, "boss")
    page.get_by_text("No sink: nobody is told of incidents.").wait_for()
    return page


def add_webhook(page: Any, receiver: Receiver) -> Any:
    """→ its entry in the list."""
    form = page.locator("#sinks-form")
    form.get_by_label("Name", exact=True).fill("Control room")
    form.get_by_label("URL").fill(f"http://127.0.0.1:{receiver.port}/hook-c4n4ry")
    form.get_by_label("Further headers").fill("Authorization: Bearer c4n4ry")
    page.get_by_role("button", name="Add sink").click()
    return entry(page, "Control room")


def test_webhook_is_added_tested_and_deleted_and_its_secret_shown_once(sinks_page: Any, receiver: Receiver):
    page = sinks_page
    sink = add_webhook(page, receiver)
    sink.get_by_text("ok", exact=True).wait_for()
    secret = page.locator("#sink-secret code").inner_text()
    assert secret.startswith("whsec_")
    sink.get_by_role("button", name="Test").click()
    sink.get_by_text("delivered in").wait_for()
    assert len(receiver.ids) == 1
    receiver.status = 503
    sink.get_by_role("button", name="Test").click()
    sink.get_by_text("not delivered (503)").wait_for()
    page.reload()
    sink.wait_for()
    assert secret not in page.content()
    assert "c4n4ry" not in page.content()
    sink.get_by_role("button", name="Disable").click()
    sink.get_by_text("disabled", exact=True).wait_for()
    page.once("dialog", lambda question: question.accept())
    sink.get_by_role("button", name="Delete").click()
    sink.wait_for(state="detached")


def test_form_asks_what_the_kind_needs_and_says_what_is_wrong(sinks_page: Any):
    page, form = sinks_page, sinks_page.locator("#sinks-form")
    assert form.get_by_label("Host").is_hidden()
    form.get_by_label("Kind").select_option("email")
    assert form.get_by_label("URL").is_hidden()
    form.get_by_label("Name", exact=True).fill("Guards")
    form.get_by_label("Host").fill("mail.example")
    form.get_by_label("Sender").fill("nobody")
    form.get_by_label("Recipients").fill("guards@site.example, chief@site.example")
    page.get_by_role("button", name="Add sink").click()
    page.locator("#sinks-error").wait_for()
    assert form.get_by_label("Sender").get_attribute("aria-invalid") == "true"
    form.get_by_label("Sender").fill("actoscope@site.example")
    page.get_by_role("button", name="Add sink").click()
    entry(page, "Guards").get_by_text("guards@site.example, chief@site.example by mail.example:587").wait_for()
    form.get_by_label("Kind").select_option("mqtt")
    form.get_by_label("Name", exact=True).fill("Home Assistant")
    form.get_by_label("Host").fill("192.0.2.10")
    page.get_by_role("button", name="Add sink").click()
    entry(page, "Home Assistant").get_by_text("192.0.2.10:1883").wait_for()


def test_deliveries_are_listed_by_state_and_the_audit_tells_who_did_it(sinks_page: Any, receiver: Receiver):
    page = sinks_page
    sink = add_webhook(page, receiver)
    sink.get_by_role("button", name="Test").click()
    sink.get_by_text("delivered in").wait_for()
    page.get_by_role("link", name="Deliveries").click()
    page.locator("#deliveries-list").get_by_text("test.ping").wait_for()
    assert "Control room" in page.locator("#deliveries-list").inner_text()
    page.get_by_label("State").select_option("dead")
    page.get_by_text("No message.").wait_for()
    page.get_by_role("link", name="Audit").click()
    page.locator("#audit-list").get_by_text("sinks:write").first.wait_for()
    page.get_by_label("Action").fill("login")
    page.get_by_role("button", name="Filter").click()
    page.locator("#audit-list").get_by_text("sinks:write").first.wait_for(state="detached")
    assert page.locator("#audit-list li").count() == 1
    assert "boss" in page.locator("#audit-list li").inner_text()
