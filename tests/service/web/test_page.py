"""The page at /: what is sent, and how it works in a real browser."""

import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest

from pipeline.sources.timestamps import NO_STAMPS
from service.stream_state import StreamState
from service.supervisor_protocol import StreamStatus
from service.wire_messages import rfc3339
from tests.service.conftest import URL, RunningApi, action
from tests.service.test_routes_recordings import add_recording
from tests.service.web.conftest import AT_THE_ROOT_AND_BELOW, jpeg
from tests.support.places import REPOSITORY
from tests.support.service import wait_for

WEB = REPOSITORY / "service" / "web"
REVIEW = ("/review", "/events", "/corrections", "/incidents/inc_0123456789abcdef")
MARKUP = "<img src=x onerror=\"document.title='broken'\">"


@pytest.fixture
def api(request: pytest.FixtureRequest, root_path: str) -> Iterator[RunningApi]:
    """Of the whole file, at the root; a test's cameras and recordings go with it."""
    if root_path:
        yield request.getfixturevalue("run_api")(root_path=root_path)
        return
    shared: RunningApi = request.getfixturevalue("shared_api")
    yield shared
    for each in shared.client.get("/v1/recordings").json()["items"]:
        shared.client.delete(f"/v1/recordings/{each['id']}").raise_for_status()


@pytest.mark.parametrize("path", ["/", "/login", "/settings", "/models", "/rules", "/system", "/train", *REVIEW])
def test_page_and_its_files_are_sent_with_a_strict_policy(file_api: RunningApi, path: str):
    page = file_api.client.get(path)
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    named = [urljoin(path, part) for part in re.findall(r'(?:src|href)="([^"#]+)"', page.text)]
    for part in parts_of(file_api, named):
        answer = file_api.client.get(part)
        assert answer.status_code == 200, part
        assert answer.headers["x-content-type-options"] == "nosniff"


def parts_of(api: RunningApi, wanted: list[str]) -> set[str]:
    """→ these files, and every script that they import."""
    found: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in found and name.endswith(".js"):
            wanted += [f"web/{each}" for each in re.findall(r'from "\./([^"]+)"', api.client.get(name).text)]
        found.add(name)
    return found


def test_every_file_of_the_pages_is_sent_and_nothing_else_is(file_api: RunningApi):
    for path in WEB.iterdir():
        if path.suffix != ".html":
            assert file_api.client.get(f"/web/{path.name}").content == path.read_bytes()
    for name in ("index.html", "page.py", "..%2Fsettings.py", "%2e%2e/settings.py", "x.js"):
        assert file_api.client.get(f"/web/{name}").status_code == 404, name


def test_page_uses_nothing_from_elsewhere_and_makes_no_html_of_data():
    for path in WEB.iterdir():
        text = path.read_text()
        assert not re.search(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[\w.]+\.\w+/", text), path
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            path
        )
        assert not re.search(r"\son\w+=|style=|<script>|<style>", text), f"{path} breaks its own policy"


MIDDLE = """
canvas => [...canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data].slice(0, 3)
"""


def middle_of(canvas: Any) -> list[int]:
    """→ its colour in the middle; black where nothing is drawn."""
    return list(canvas.evaluate(MIDDLE))


@pytest.mark.parametrize("root_path", AT_THE_ROOT_AND_BELOW, indirect=True)
def test_person_adds_a_stream_and_sees_it(page: Any, api: RunningApi):
    api.supervisor.pictures = [jpeg()] * 3
    page.get_by_label("Camera or file").fill(URL)
    page.get_by_label("Name").fill(MARKUP)
    page.get_by_role("button", name="Add stream").click()
    card = page.locator(".card")
    card.get_by_text(MARKUP).wait_for()
    assert "rtsp://viewer:***@127.0.0.1:9/cam" in card.inner_text()
    assert "running" in card.inner_text()
    assert "c4n4ry" not in page.content()
    wait_for(lambda: middle_of(page.locator(".tile canvas")) == [200, 200, 200], 10, "the picture is drawn")
    recording = add_recording(api)
    page.reload()
    page.get_by_role("button", name="Play").click()
    assert page.evaluate("document.getElementById('video').src") == api.url + recording["video"]
    assert page.title() == "Actoscope"


def test_refused_url_is_explained_beside_the_form(page: Any, api: RunningApi):
    page.get_by_label("Camera or file").fill("gopher://camera/")
    page.get_by_role("button", name="Add stream").click()
    alert = page.locator("#add-error")
    alert.wait_for()
    assert "rtsp" in alert.inner_text()
    assert page.get_by_label("Camera or file").get_attribute("aria-invalid") == "true"
    assert page.get_by_label("Camera or file").input_value() == "gopher://camera/"


def test_actions_appear_live_and_after_a_lost_connection_from_where_it_ended(page: Any, api: RunningApi):
    stream_id = api.add(name="Gate")["id"]

    async def publish(event_id: str, kind: str, label: str) -> None:
        at = rfc3339(time.time())
        await api.context.hub.publish_action(action(event_id, kind, action=label, stream_id=stream_id, captured_at=at))

    api.call(publish("evt_1", "started", MARKUP))
    going = page.locator("#events li.going")
    going.get_by_text(MARKUP).wait_for()
    for subscription in tuple(api.context.hub._subscriptions):
        api.loop.call_soon_threadsafe(subscription.end, ConnectionError("cut by the test"))
    page.get_by_text("no connection").wait_for()
    api.call(publish("evt_1", "ended", MARKUP))
    api.call(publish("evt_2", "started", "squat"))
    going.get_by_text("squat").wait_for()
    assert page.locator("#events li").count() == 2
    assert going.count() == 1
    assert "2.0 s" in page.locator("#events li").nth(1).inner_text()
    assert page.title() == "Actoscope"


def test_stream_is_recorded_stopped_and_deleted_by_its_buttons(page: Any, api: RunningApi):
    stream = api.add(name="Gate")
    card = page.locator(".card")
    card.get_by_role("button", name="Record").click()
    card.get_by_role("button", name="Recording", pressed=True).wait_for()
    assert api.supervisor.running[stream["id"]].record
    card.get_by_role("button", name="Stop").click()
    card.get_by_role("button", name="Start").wait_for()
    # The page shows what the database says, and the supervisor hears of it a moment later.
    wait_for(lambda: not api.supervisor.running, 10, "the stream stops")
    page.once("dialog", lambda dialog: dialog.accept())
    card.get_by_role("button", name="Delete").click()
    card.wait_for(state="detached")
    assert api.client.get("/v1/streams").json()["items"] == []


def test_stream_that_fails_says_why(page: Any, api: RunningApi):
    stream = api.add(name="Gate")
    reason = "the camera refuses the user name or password"
    api.supervisor.statuses[stream["id"]] = StreamStatus(StreamState.FAILED, "unauthorized", reason, time.time())
    page.locator(".card").get_by_text(reason).wait_for()
    page.locator(".tile .note").get_by_text(f"failed: {reason}").wait_for()


def test_stream_whose_clock_or_rate_is_wrong_says_so(page: Any, api: RunningApi):
    stream, slow = api.add(name="Gate"), "camera too slow: 0.5 of at least 2 pictures a second"
    api.supervisor.statuses[stream["id"]] = StreamStatus(
        StreamState.RUNNING, None, "", time.time(), clock="arrival", clock_reason="its time stamps jumped", labels=slow
    )
    limits = page.locator(".card .limits")
    limits.get_by_text(f"No labels: {slow} · Clock: arrival of pictures (its time stamps jumped)").wait_for()
    api.supervisor.statuses[stream["id"]] = StreamStatus(StreamState.RUNNING, None, "", time.time())
    limits.wait_for(state="hidden")


def test_stream_without_time_stamps_says_so_without_a_warning(page: Any, api: RunningApi):
    stream = api.add(name="Gate")
    api.supervisor.statuses[stream["id"]] = StreamStatus(
        StreamState.RUNNING, None, "", time.time(), clock="arrival", clock_reason=NO_STAMPS.reason
    )
    page.locator(".card .soft").get_by_text("Clock: arrival of pictures (it sends no time stamps)").wait_for()
    assert page.locator(".card .limits").is_hidden()


def test_recording_is_listed_and_opens_in_the_player(page: Any, api: RunningApi):
    recording = add_recording(api)
    page.reload()
    page.locator("#recordings").get_by_role("button", name="Play").click()
    page.get_by_role("dialog").wait_for()
    assert page.locator("#video").get_attribute("src") == recording["video"]
    assert page.locator("#messages").get_attribute("href") == recording["events"]
    page.get_by_role("button", name="Close").click()
    page.get_by_role("dialog").wait_for(state="hidden")
