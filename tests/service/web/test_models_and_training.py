"""The pages of versions and of training, on answers as the API gives them: states that take days to come about."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.service.conftest import RunningApi
from tests.support.service import wait_for

Visit = Callable[[str], Any]

AT = "2026-05-04T03:02:01.123Z"
REFUSED = {
    "passed": False,
    "checks": [
        {"name": "base", "passed": True, "words": "macro F1 0.80 → 0.81"},
        {"name": "audit", "passed": None, "words": "too few labels to tell"},
        {"name": "cameras", "passed": False, "words": "Gate loses 0.05"},
    ],
    "missing": ["38 more from Gate"],
}
PASSED = {"passed": True, "checks": [{"name": "base", "passed": True, "words": "macro F1 0.80 → 0.83"}], "missing": []}
SHADOW = {
    "version": "surveillance@3",
    "clips": 240,
    "hours": 25.0,
    "agreement": 0.9,
    "by_stream": [
        {
            **{"id": "str_0000000000000001", "name": "Gate", "clips": 240, "agreement": 0.9},
            **{"alerts_a_day_champion": 4.0, "alerts_a_day_challenger": 1.5},
        }
    ],
    "ready": True,
    "why": "",
}


@pytest.fixture
def api(shared_api: RunningApi) -> RunningApi:
    """Of the whole file: what the pages show is told to the browser, not to the service."""
    return shared_api


def version(number: int, state: str, **changes: Any) -> dict[str, Any]:
    usual = {
        "number": number,
        "forced": False,
        "rolls_back_to": None,
        "parent": "surveillance",
        "created_at": AT,
        "labels": ["squat"],
    }
    said = {"metrics": {"macro_f1": 0.81}, "corrections": 12 * number, "gate": None, "shadow": None}
    return {"version": f"surveillance@{number}", "state": state, **usual, **said, **changes}


VERSIONS = [
    version(4, "refused", gate=REFUSED),
    version(3, "shadow", gate=PASSED, shadow=SHADOW),
    version(2, "serving", gate=PASSED, rolls_back_to="surveillance"),
    version(1, "former", version="surveillance", parent=None, corrections=None),
]


def training(training_id: str, state: str, **changes: Any) -> dict[str, Any]:
    usual = {"id": training_id, "base": "surveillance", "config": "quick", "force_count": False, "state": state}
    told = {"step": "learning: epoch 3 of 30", "progress": 0.25, "eta_s": 600.0, "paused_reason": None, "by": "boss"}
    times = {"created_at": AT, "started_at": AT, "ended_at": None, "reason": "", "version": None, "gate": None}
    return {**usual, **told, **times, **changes}


class Answers:
    """Answers a page's requests: path below /v1 → body, or (status, body); keeps what was sent."""

    def __init__(self, page: Any) -> None:
        self.sent: list[tuple[str, str, Any]] = []
        self._page = page

    def to(self, path: str, answer: Callable[[str, Any], tuple[int, Any]]) -> None:
        def handle(route: Any) -> None:
            body = json.loads(route.request.post_data or "null")
            if route.request.method != "GET":
                self.sent.append((route.request.method, path, body))
            status, content = answer(route.request.method, body)
            route.fulfill(status=status, json=content)

        self._page.route(f"**/v1/{path}", handle)


def items(*each: dict[str, Any]) -> dict[str, Any]:
    return {"items": list(each), "next_cursor": None}


@pytest.fixture
def models(visit: Visit, api: RunningApi) -> tuple[Any, Answers]:
    page = visit("/login")
    page.get_by_text("ready", exact=True).wait_for()
    answers = Answers(page)
    answers.to("models/surveillance/versions", lambda method, body: (200, items(*VERSIONS)))
    page.goto(f"{api.url}/models")
    page.get_by_text("surveillance@4").wait_for()
    return page, answers


def part(page: Any, name: str) -> Any:
    return page.get_by_role("article", name=name, exact=True)


def test_network_without_versions_is_shown_all_the_same(visit: Visit):
    page = visit("/models")
    page.get_by_role("heading", name="surveillance").wait_for()
    assert "push up, squat, playing cricket" in page.locator("#models").inner_text()
    wait_for(lambda: page.locator("#models section").count() == 1, 5, "one network")


def test_versions_say_how_they_are_and_why_one_was_refused(models: tuple[Any, Answers]):
    page, _ = models
    refused = part(page, "surveillance@4")
    assert "Labels are missing: 38 more from Gate." in refused.inner_text()
    assert (
        refused.locator(".checks-list li")
        .all_inner_texts()[2]
        .replace("\n", " ")
        .endswith("Camera by camera: Gate loses 0.05")
    )
    shadow = part(page, "surveillance@3")
    assert "Shadow: 240 clips in 25 h, the same label in 90 %. Ready to decide." in shadow.inner_text()
    row = shadow.get_by_role("row", name="Gate")
    assert row.locator("td").all_inner_texts() == ["240", "90 %", "4", "1.5"]
    buttons = {
        name: part(page, name).locator("button").all_inner_texts() for name in ("surveillance@2", "surveillance")
    }
    assert buttons == {"surveillance@2": ["Roll back"], "surveillance": ["Into the shadow", "Promote"]}


def test_promotion_needs_a_reason_and_one_that_was_refused_needs_insisting(models: tuple[Any, Answers]):
    page, answers = models
    answers.to("models/surveillance/promote", _promoted)
    part(page, "surveillance@3").get_by_role("button", name="Promote").click()
    dialog = page.get_by_role("dialog", name="Promote surveillance@3")
    assert dialog.get_by_role("checkbox").is_hidden(), "nothing speaks against it"
    dialog.get_by_role("button", name="Promote").click()
    dialog.get_by_text("Give a reason").wait_for()
    dialog.get_by_label("Reason").fill("better at the gate")
    dialog.get_by_role("button", name="Promote").click()
    dialog.wait_for(state="hidden")
    part(page, "surveillance@4").get_by_role("button", name="Promote").click()
    dialog = page.get_by_role("dialog", name="Promote surveillance@4")
    dialog.get_by_label("Reason").fill("no time")
    dialog.get_by_role("button", name="Promote").click()
    dialog.get_by_role("alert").get_by_text("the gate refused it").wait_for()
    dialog.get_by_role("checkbox").check()
    dialog.get_by_role("button", name="Promote").click()
    dialog.wait_for(state="hidden")
    sent = [(body["version"], body["reason"], body["force"]) for _, _, body in answers.sent]
    third, fourth = ("surveillance@3", "better at the gate", False), ("surveillance@4", "no time", False)
    assert sent == [third, fourth, (*fourth[:2], True)]


def _promoted(method: str, body: Any) -> tuple[int, Any]:
    if body["version"] == "surveillance@4" and not body["force"]:
        return 409, {"title": "Conflict", "status": 409, "detail": "the gate refused it"}
    return 200, version(3, "serving")


def test_shadow_is_begun_and_ended_and_the_version_before_comes_back(models: tuple[Any, Answers]):
    page, answers = models
    answers.to("models/surveillance/shadow", lambda method, body: (200, None))
    answers.to("models/surveillance/rollback", lambda method, body: (200, version(1, "serving")))
    part(page, "surveillance@3").get_by_role("button", name="End the shadow").click()
    wait_for(lambda: page.wait_for_timeout(20) or len(answers.sent) == 1, 5, "the shadow ends")
    part(page, "surveillance@4").get_by_role("button", name="Into the shadow").click()
    wait_for(lambda: page.wait_for_timeout(20) or len(answers.sent) == 2, 5, "another one begins")
    part(page, "surveillance@2").get_by_role("button", name="Roll back").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("too many alerts")
    dialog.get_by_role("button", name="Roll back").click()
    dialog.wait_for(state="hidden")
    assert [body for _, _, body in answers.sent] == [
        {"version": None},
        {"version": "surveillance@4"},
        {"reason": "too many alerts"},
    ]


# -- training

SUMMARY = {
    "streams": [
        {"id": "str_0000000000000001", "name": "Gate", "train": {"squat": 12, "push up": 3}, "audit": {"squat": 2}},
        {"id": "str_0000000000000002", "name": "Yard", "train": {}, "audit": {}},
    ]
}


class Trainings:
    """As the API has them now."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def answer(self, method: str, body: Any) -> tuple[int, Any]:
        if method == "POST":
            self.all.insert(0, training("trn_1", "queued", started_at=None, step="", progress=0.0, eta_s=None))
            return 202, self.all[0]
        return 200, items(*self.all)


@pytest.fixture
def trainings() -> Trainings:
    return Trainings()


@pytest.fixture
def train_page(visit: Visit, api: RunningApi, trainings: Trainings) -> tuple[Any, Answers]:
    page = visit("/login")
    page.get_by_text("ready", exact=True).wait_for()
    answers = Answers(page)
    answers.to("corrections/summary", lambda method, body: (200, SUMMARY))
    answers.to("trainings", trainings.answer)
    page.goto(f"{api.url}/train")
    page.get_by_role("row", name="Gate").wait_for()
    return page, answers


def test_corrections_are_counted_by_camera_and_label(train_page: tuple[Any, Answers]):
    page, _ = train_page
    table = page.get_by_role("table", name="Corrections by camera and label")
    assert table.locator("thead th").all_inner_texts() == ["Camera", "push up", "squat"]
    assert table.get_by_role("row", name="Gate").locator("td").all_inner_texts() == ["3", "12 (audit 2)"]
    assert table.get_by_role("row", name="Yard").locator("td").all_inner_texts() == ["–", "–"]


def test_training_is_started_followed_and_what_the_gate_said_is_told(
    train_page: tuple[Any, Answers], trainings: Trainings
):
    page, answers = train_page
    page.get_by_label("Configuration").select_option("full")
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_text("not begun yet").wait_for()
    assert answers.sent == [("POST", "trainings", {"base": "surveillance", "config": "full", "force_count": False})]
    assert page.get_by_role("button", name="Train", exact=True).is_hidden(), "one at a time"
    trainings.all = [training("trn_1", "running")]
    page.get_by_text("learning: epoch 3 of 30").wait_for()
    assert page.get_by_role("progressbar").get_attribute("value") == "0.25"
    assert "25 %, about 10 min to go; by boss" in page.locator("#running").inner_text()
    trainings.all = [training("trn_1", "paused", paused_reason="labels are 1.4 s old")]
    page.get_by_text("Paused: labels are 1.4 s old").wait_for()
    done = {"ended_at": "2026-05-04T03:12:01.123Z", "version": "surveillance@4", "gate": REFUSED}
    trainings.all = [training("trn_1", "done", **done)]
    entry = page.locator("#trainings > li")
    entry.get_by_text("Labels are missing: 38 more from Gate.").wait_for()
    assert "took 10 min" in entry.inner_text()
    assert entry.get_by_role("link", name="surveillance@4").is_visible()
    page.get_by_role("button", name="Train", exact=True).wait_for()


def test_training_is_cancelled_after_a_question(train_page: tuple[Any, Answers], trainings: Trainings):
    page, answers = train_page
    trainings.all = [training("trn_9", "running")]

    def cancelled(method: str, body: Any) -> tuple[int, Any]:
        trainings.all = [training("trn_9", "cancelled", reason="cancelled by boss")]
        return 200, trainings.all[0]

    answers.to("trainings/trn_9", cancelled)
    page.reload()
    page.once("dialog", lambda question: question.accept())
    page.get_by_role("button", name="Cancel").click()
    page.locator("#trainings").get_by_text("cancelled by boss").wait_for()
    page.get_by_text("Nothing is being trained.").wait_for()


def test_check_without_words_is_told_by_its_name(models: tuple[Any, Answers]):
    page, answers = models
    silent = {"passed": False, "checks": [{"name": "cameras", "passed": False, "words": ""}], "missing": []}
    answers.to("models/surveillance/versions", lambda method, body: (200, items(version(5, "refused", gate=silent))))
    page.reload()
    check = part(page, "surveillance@5").locator(".checks-list li")
    check.wait_for()
    assert check.inner_text().split() == ["failed", "Camera", "by", "camera"]
