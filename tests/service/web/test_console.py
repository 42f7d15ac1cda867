"""The console's pages: reachable by one navigation, readable by everybody, and nothing on them that one may not do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service.bucket.standing import Standing
from service.rights import Role
from service.routes.cluster.bodies import NodeBody, NodeBucketBody
from service.routes.console.system_bodies import to_bucket
from service.storage.objects import Waiting
from service.wire_messages import rfc3339
from tests.service.conftest import RunningApi, action
from tests.service.test_routes_recordings import add_recording
from tests.service.test_routes_system import VIEW
from tests.service.web.conftest import PASSWORD, add_user, jpeg, log_in
from tests.service.web.test_wall import PERSON
from tests.support.service import wait_for

Visit = Callable[[str], Any]

PAGES = {
    "Live": "/",
    "Review": "/review",
    "Events": "/events",
    "Rules": "/rules",
    "Train": "/train",
    "Models": "/models",
    "System": "/system",
    "Settings": "/settings",
}
RULE = {
    "name": "Push-ups at night",
    "actions": {"push up": 0.6},
    "zones": {"any": ["gate"]},
    "schedule": {"timezone": "Europe/Berlin", "windows": [{"days": "mon-fri", "from": "22:00", "to": "06:00"}]},
}


@pytest.fixture
def furnished(api: RunningApi) -> RunningApi:
    """A service with something on every page."""
    api.supervisor.pictures, api.supervisor.people, api.supervisor.plan = [jpeg()], [PERSON], VIEW
    gate = api.add(name="Gate")["id"]
    api.add(name="Yard")
    zone = {"name": "gate", "polygon": [[0.1, 0.5], [0.6, 0.5], [0.6, 1.0]]}
    api.client.put(f"/v1/streams/{gate}/zones", json={"zones": [zone]}).raise_for_status()
    api.client.post("/v1/rules", json=RULE).raise_for_status()
    api.client.post("/v1/rules", json={**RULE, "name": "Off", "enabled": False, "zones": None}).raise_for_status()
    api.call(api.context.hub.publish_action(action(stream_id=gate, captured_at=rfc3339(time.time()))))
    add_recording(api)
    return api


def ready(page: Any) -> Any:
    page.get_by_text("ready", exact=True).first.wait_for()
    return page


def links(page: Any) -> list[str]:
    page.locator("#pages a").first.wait_for(state="attached")
    return list(page.locator("#pages a").all_inner_texts())


# -- one navigation


@pytest.mark.parametrize("root_path", ["/a/cameras"], indirect=True)
def test_every_page_leads_to_every_other_and_says_where_one_is(visit: Visit, api: RunningApi, root_path: str):
    page = visit("/")
    for title, path in PAGES.items():
        page.locator("#pages").get_by_role("link", name=title, exact=True).click()
        page.wait_for_url(f"{api.url}{root_path}{path}*")
        assert links(page)
        assert page.locator("#pages [aria-current=page]").all_inner_texts() == [title]
        assert page.locator("h1").count() == 1


def test_keyboard_skips_the_navigation(visit: Visit):
    page = ready(visit("/system"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_navigation_of_a_phone_is_behind_one_button(visit: Visit):
    page = visit("/system")
    page.set_viewport_size({"width": 390, "height": 800})
    assert not page.locator("#pages").is_visible()
    menu = page.get_by_role("button", name="Menu")
    menu.click()
    assert menu.get_attribute("aria-expanded") == "true"
    page.locator("#pages").get_by_role("link", name="Rules").click()
    page.get_by_role("heading", name="Rules", level=1).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the phone"


# -- who may what


@pytest.mark.parametrize("streams", [pytest.param("*", marks=pytest.mark.exhaustive), "one"])
def test_trainings_are_offered_to_operators_who_see_all_streams(visit: Visit, api: RunningApi, streams: str):
    stream = api.add()["id"]
    add_user(api, "boss")
    add_user(api, "otto", Role.OPERATOR, "*" if streams == "*" else stream)
    page = visit("/login")
    log_in(page, "otto")
    page.get_by_role("heading", name="Live", level=1).wait_for(state="attached")
    assert ("Train" in links(page)) is (streams == "*")


def test_viewer_sees_no_control_of_an_admin_and_the_api_refuses_it(visit: Visit, furnished: RunningApi):
    rule = furnished.client.get("/v1/rules").json()["items"][0]["id"]
    add_user(furnished, "boss")
    add_user(furnished, "anna", Role.VIEWER)
    page = visit("/login?next=rules")
    log_in(page, "anna")
    page.locator("#rules").get_by_text("Push-ups at night").wait_for()
    shown = set(page.locator("main button:visible").all_inner_texts())
    assert shown == {"Incidents", "Show zones"}
    assert "Train" not in links(page)
    page.goto(f"{furnished.url}/models")
    page.locator("#models").get_by_text("surveillance").first.wait_for()
    assert page.locator("main button:visible").count() == 0
    page.goto(f"{furnished.url}/system")
    page.locator("#streams").get_by_text("Gate").wait_for()
    assert page.locator("#machine").is_visible(), "who sees all streams sees the machine too"
    client = furnished.visitor()
    furnished.log_in("anna", client, PASSWORD)
    refused = [
        client.post("/v1/rules", json=RULE),
        client.patch(f"/v1/rules/{rule}", json={"enabled": False}),
        client.delete(f"/v1/rules/{rule}"),
        client.post(f"/v1/rules/{rule}/snooze", json={"minutes": 5}),
        client.post("/v1/rules/dry-run", json={"rule": RULE, "since": rfc3339(0), "until": rfc3339(1)}),
    ]
    assert {answer.status_code for answer in refused} == {403}


def test_operator_may_silence_a_rule_and_no_more(visit: Visit, furnished: RunningApi):
    add_user(furnished, "boss")
    add_user(furnished, "olga", Role.OPERATOR)
    page = visit("/login?next=rules")
    log_in(page, "olga")
    entry = page.locator("#rules li").first
    entry.wait_for()
    assert set(entry.locator("button:visible").all_inner_texts()) == {"Incidents", "Silence"}
    entry.get_by_label("Silence: Push-ups at night").first.select_option("120")
    entry.get_by_role("button", name="Silence").click()
    entry.get_by_text("silent until").wait_for()
    entry.get_by_role("button", name="End silence").click()
    entry.get_by_role("button", name="Silence: Push-ups at night").wait_for()


# -- rules


def new_rule(page: Any, name: str, action_label: str, least: str) -> Any:
    """→ the form, with these."""
    page.get_by_role("button", name="New rule").click()
    form = page.locator("#editor")
    form.get_by_label("Name").fill(name)
    form.get_by_label("Action", exact=True).fill(action_label)
    form.get_by_label("from", exact=True).first.fill(least)
    return form


def test_rule_is_made_changed_and_deleted(visit: Visit, furnished: RunningApi):
    page = ready(visit("/rules"))
    form = new_rule(page, "Squats", "squat", "0.8")
    form.get_by_role("checkbox", name="Yard").check()
    form.get_by_label("Only at certain times").check()
    form.get_by_label("Time zone").fill("America/New_York")
    form.get_by_label("days").fill("sat,sun")
    form.get_by_role("button", name="Save").click()
    entry = page.locator("#rules li").filter(has_text="Squats")
    entry.get_by_text("squat from 80 % at Yard · sat,sun 22:00–06:00 America/New_York").wait_for()
    (stored,) = [rule for rule in furnished.client.get("/v1/rules").json()["items"] if rule["name"] == "Squats"]
    assert stored["actions"] == {"squat": 0.8} and stored["clip"] == {"pre_s": 5, "post_s": 5}
    entry.get_by_role("button", name="Edit").click()
    form.get_by_label("Looks for").select_option("count")
    assert form.get_by_role("group", name="Actions, and from which confidence on").is_hidden()
    form.get_by_label("More people than").fill("3")
    form.get_by_role("button", name="Save").click()
    entry.get_by_text("more than 3 people").wait_for()
    page.once("dialog", lambda question: question.accept())
    entry.get_by_role("button", name="Delete").click()
    entry.wait_for(state="detached")


def test_what_is_wrong_with_a_rule_is_said_at_its_field(visit: Visit, furnished: RunningApi):
    page = ready(visit("/rules"))
    form = new_rule(page, "Late", "squat", "1.5")
    form.get_by_label("An incident ends after seconds of quiet").fill("9999")
    form.get_by_role("button", name="Save").click()
    group = form.locator("[data-field=group_s]")
    group.locator(".field-error").get_by_text("9999").wait_for()
    assert group.locator("input").get_attribute("aria-invalid") == "true"
    described = group.locator("input").get_attribute("aria-describedby")
    assert page.locator(f"#{described}").is_visible()
    assert "1.5" in form.locator("[data-field=actions] .field-error").inner_text()
    form.get_by_label("from", exact=True).first.fill("0.5")
    form.get_by_label("An incident ends after seconds of quiet").fill("9")
    form.get_by_role("button", name="Save").click()
    page.locator("#rules").get_by_text("Late").wait_for()
    assert form.locator(".field-error").count() == 0


def test_rule_is_tried_on_the_last_day_before_it_is_stored(visit: Visit, furnished: RunningApi):
    gate = furnished.client.get("/v1/streams").json()["items"][0]["id"]
    page = ready(visit("/rules"))
    form = new_rule(page, "Any push-up", "push up", "0.5")
    form.get_by_role("button", name="Try on the last 24 h").click()
    page.locator("#found-words").get_by_text("1 incident, ").wait_for()
    link = page.locator("#found-list").get_by_role("link", name="push up")
    assert link.get_attribute("href").startswith(f"{furnished.url}/events?stream={gate}&since=")
    assert len(furnished.client.get("/v1/rules").json()["items"]) == 2, "nothing is stored"
    page.locator("#rules li").first.get_by_role("button", name="Incidents").click()
    page.locator("#found-words").get_by_text("None yet.").wait_for()


def test_zone_that_a_rule_misses_is_drawn_from_its_page(visit: Visit, furnished: RunningApi):
    rule = {**RULE, "name": "Roof", "zones": {"any": ["roof"]}}
    furnished.client.post("/v1/rules", json=rule).raise_for_status()
    page = ready(visit("/rules"))
    missing = page.get_by_text("As things are: no stream of the rule has a zone")
    missing.wait_for()
    page.get_by_role("button", name="Zones of Yard").click()
    page.get_by_role("button", name="New zone").click()
    for keys in (["Enter"], ["Shift+ArrowRight", "Enter"], ["Shift+ArrowDown", "Enter"]):
        for key in keys:
            page.keyboard.press(key)
    page.get_by_label("Name of zone 1").fill("roof")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    missing.wait_for(state="detached")
    page.locator("#places").get_by_text("roof").wait_for()


# -- system


def test_system_page_says_what_the_machine_affords(visit: Visit, furnished: RunningApi):
    page = ready(visit("/system"))
    words = "Rung 3 of 17 down: the light network, a clip of a person each 0.64 s (1.28 s who stands still)"
    page.locator("#budget").get_by_text(words).wait_for()
    assert "1.3 of 1.6 cores" in page.locator("#budget").inner_text()
    page.get_by_role("table", name="What work costs here").get_by_text("500 ms").wait_for()
    assert page.get_by_role("row", name="Gate").get_by_text("running").is_visible()
    page.locator("#disk").get_by_text("1 file").wait_for()
    furnished.add(name="New camera")
    page.get_by_role("row", name="New camera").wait_for()  # by itself


def test_system_page_says_what_waits_for_the_bucket_and_what_is_wrong(visit: Visit, furnished: RunningApi):
    system = furnished.client.get("/v1/system").json()
    standing = Standing("s3://cameras/site")
    standing.waiting = Waiting(3, 2_000_000, time.time() - 300)
    standing.failed("connection refused")
    system["machine"]["bucket"] = to_bucket(standing).model_dump()
    page = visit("/")
    page.route("**/v1/system", lambda route: route.fulfill(json=system))
    page = ready(visit("/system"))
    page.locator("#disk").get_by_text("s3://cameras/site; 3 files").wait_for()
    page.locator("#disk").get_by_text("connection refused").wait_for()


def test_system_page_says_by_node_what_waits_for_the_bucket_and_why(visit: Visit, furnished: RunningApi):
    system = furnished.client.get("/v1/system").json()
    sent = {
        "place": "s3://cameras/site",
        "waiting": 0,
        "waiting_bytes": 0,
        "oldest_s": 0.0,
        "missing": 0,
        "problem": "",
    }
    stuck = {
        **sent,
        "place": "",
        "waiting": 3,
        "waiting_bytes": 2_000_000,
        "oldest_s": 300.0,
        "problem": "it is not set",
    }
    items = [node_body(name, bucket).model_dump() for name, bucket in (("yard", sent), ("gate", stuck), ("roof", None))]
    leader = {"name": "api-1", "url": "http://10.0.0.1:8000", "epoch": 1, "silent_s": 0.1}
    system["machine"]["cluster"] = {"leader": leader, "leads": True, "items": items, "next_cursor": None}
    page = visit("/")
    page.route("**/v1/system", lambda route: route.fulfill(json=system))
    page = ready(visit("/system"))
    nodes = page.get_by_role("table", name="Nodes")
    nodes.get_by_role("row", name="yard").get_by_text("all of them").wait_for()
    stuck_row = nodes.get_by_role("row", name="gate").inner_text()
    assert "3 files (2.0 MB) wait, the oldest for 5 min" in stuck_row and "it is not set" in stuck_row
    assert "all of them" not in nodes.get_by_role("row", name="roof").inner_text()


def node_body(name: str, bucket: dict[str, Any] | None) -> NodeBody:
    now = "2026-05-04T03:02:01.123Z"
    return NodeBody(
        id=name,
        site="",
        address="10.0.0.11",
        version="0",
        cores=4,
        gpus=0,
        lends=False,
        capacity=8,
        load=0.2,
        alive=True,
        ready=True,
        draining=False,
        seen_at=now,
        started_at=now,
        streams=[],
        leases=0,
        problem="",
        bucket=None if bucket is None else NodeBucketBody(**bucket),
    )


# -- everybody can read it

SERIOUS = ("serious", "critical")
OTHER_LOOKS = [("light", 390), ("light", 1280), ("dark", 390)]


@pytest.fixture
def desk(browser: Any) -> Iterator[Any]:
    yield from _looks(browser, "dark", 1280)


def _looks(browser: Any, scheme: str, width: int) -> Iterator[Any]:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    yield context.new_page()
    context.close()


def serious_findings(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['help']}: {[node['html'][:150] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in SERIOUS
    ]


def check_pages(page: Any, api: RunningApi) -> None:
    wrong = {}
    for path in PAGES.values():
        page.goto(f"{api.url}{path}")
        page.locator("#pages a").first.wait_for(state="attached")
        page.wait_for_timeout(600)  # what the page asks for is there
        wrong[path] = serious_findings(page)
    assert {path: findings for path, findings in wrong.items() if findings} == {}


def test_axe_finds_nothing_serious_on_any_page(desk: Any, furnished: RunningApi):
    check_pages(desk, furnished)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("scheme", "width"), OTHER_LOOKS)
def test_axe_finds_nothing_serious_in_the_other_looks(browser: Any, furnished: RunningApi, scheme: str, width: int):
    for page in _looks(browser, scheme, width):
        check_pages(page, furnished)


def test_axe_finds_nothing_serious_where_somebody_works(desk: Any, furnished: RunningApi):
    """What opens only by a press: the form of a rule, zones, the way in."""
    page = desk
    page.goto(f"{furnished.url}/rules")
    page.get_by_role("button", name="New rule").click()
    for box in ("Only where several clips say the same", "Only at certain times"):
        page.get_by_label(box).check()
    page.get_by_role("button", name="Save").click()
    page.locator(".field-error").first.wait_for()
    assert serious_findings(page) == []
    page.get_by_role("button", name="Zones of Gate").click()
    page.get_by_role("dialog").wait_for()
    assert serious_findings(page) == []
    add_user(furnished, "boss")
    page.goto(f"{furnished.url}/login")
    page.get_by_label("Password").wait_for()
    assert serious_findings(page) == []


def test_axe_would_find_what_nobody_can_read(desk: Any, furnished: RunningApi):
    page = desk
    page.goto(f"{furnished.url}/system")
    page.locator("#streams table").wait_for()
    page.evaluate(
        "document.querySelector('main').append(document.createElement('img'), document.createElement('button'))"
    )
    assert len(serious_findings(page)) == 2
    wait_for(lambda: page.locator("#streams table").count() == 1, 5, "the page still stands")
