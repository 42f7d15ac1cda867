"""The loop that makes a network better, as an operator goes through it in a browser: events of a camera where it fails,
labels by the keyboard, a training, the gate, a trial, a promotion, and back again; and a kill at each step of it."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import NewService
from tests.service.web.conftest import browser  # noqa: F401 - a fixture
from tests.support.places import REPOSITORY
from tests.support.service import Service, Subscriber, wait_for
from tests.support.two_lights import GATE, LABELS, LOITERING, WALKING, YARD, make_base, make_network, write_corrections

pytestmark = pytest.mark.skipif(
    find_spec("albumentations") is None, reason="training needs more packages: pip install -e '.[train]'"
)

FIRST, SECOND = "watch", "watch@2"
OF_EACH = 3  # labels of each action, of the audit sample and of the rest: 12 in all
TRAINED_S = 240  # a training takes seconds of work; here it gives way to everything else


@dataclass(frozen=True)
class House:
    """Two cameras that the service watches. Walkers are on the left of each picture, who loiters on the right."""

    service: Service
    heard: Subscriber
    gate: str
    yard: str

    def truths(self, stream_id: str) -> dict[int, str]:
        """→ what each person does."""
        messages = self.heard.of_type("tracks", stream_id=stream_id)
        middles = {
            each["track_id"]: each["box"][0] + each["box"][2] for message in messages for each in message["tracks"]
        }
        return {key: WALKING if middle < 1 else LOITERING for key, middle in middles.items()}

    def labels(self, stream_id: str, network: str, after: int) -> dict[int, dict[str, Any]]:
        """→ the newest settled label of each person who came after so many messages, by one network."""
        messages = [message for _, message in list(self.heard.messages)]
        seen = {track["track_id"] for message in messages[:after] for track in _tracks(message, stream_id)}
        people = {}
        for message in messages[after:]:
            for track in _tracks(message, stream_id):
                if track["track_id"] not in seen and track["model"] == network and not track["provisional"]:
                    people[track["track_id"]] = track
        return people

    def right(self, stream_id: str, network: str, after: int = 0, people: int = 6) -> float:
        """→ the share of people whose label is what they do, of so many at least."""

        def enough() -> dict[int, dict[str, Any]] | None:
            found = self.labels(stream_id, network, after)
            return found if len(found) >= people else None

        found = wait_for(enough, 90, f"{people} people in {stream_id} whom {network} labelled")
        truths = self.truths(stream_id)
        return sum(each["action"] == truths[key] for key, each in found.items()) / len(found)

    def events(self, **query: Any) -> list[dict[str, Any]]:
        answer = self.service.client.get("/v1/events", params={"limit": 200, **query})
        return [each for each in answer.json()["items"] if each["end_s"] is not None]

    def scores_of_who_stands(self, network: str, after: int) -> dict[str, float]:
        """→ the scores that people who stand at the gate have most often: each of them is the same picture."""
        truths = self.truths(self.gate)
        standing = [key for key in self.labels(self.gate, network, after) if truths[key] == LOITERING]
        messages = [message for _, message in list(self.heard.messages)][after:]
        tracks = [each for message in messages for each in _tracks(message, self.gate) if each["model"] == network]
        said = Counter(tuple(sorted(each["scores"].items())) for each in tracks if each["track_id"] in standing)
        return dict(said.most_common(1)[0][0])


def _tracks(message: dict[str, Any], stream_id: str) -> list[dict[str, Any]]:
    return message["tracks"] if message["type"] == "tracks" and message["stream_id"] == stream_id else []


def new_school(folder: Path, new_service: NewService) -> Service:
    """Not started: the network, its base data, and nothing else."""
    weights = folder / "weights"
    make_network(weights / FIRST)
    (weights / "person").symlink_to(REPOSITORY / "weights" / "person")
    make_base(folder / "base")
    paths = {"weights_dir": str(weights), "base_data": str(folder / "base")}
    pace = {"detector_image_size": "320", "training_label_age_s": "60", "segment_s": "4"}
    return new_service(folder, model=FIRST, audit_share="0.5", **paths, **pace)


@pytest.fixture
def school(tmp_path: Path, new_service: NewService) -> Iterator[Service]:
    mine = new_school(tmp_path, new_service)
    yield mine
    mine.stop()
    mine.client.close()


@pytest.fixture
def house(school: Service) -> Iterator[House]:
    school.start()
    with school.subscribe() as heard:
        ids = []
        for camera in (GATE, YARD):
            video = camera.write(school.folder / f"{camera.name}.mp4")
            url = f"{video.as_uri()}?pace=realtime&loop=true"
            ids.append(school.add_stream(url, name=camera.name, record=True, actions=dict.fromkeys(LABELS, 0.5))["id"])
        yield House(school, heard, *ids)


@pytest.fixture
def page(browser: Any, house: House) -> Iterator[Any]:  # noqa: F811
    """The test fails if the browser complains of anything."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert complaints == []


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_labels_of_a_camera_make_a_network_that_serves_it_and_can_be_taken_back(house: House, page: Any):
    processes = [each.pid for each in house.service.children("stream_process")]
    assert house.right(house.yard, FIRST) <= 0.1
    before = house.right(house.gate, FIRST)
    assert before >= 0.9
    label_twelve(house, page)
    train(house, page)
    try_beside(house, page)
    asked = decide(house, page, SECOND, "Promote", "better in the yard")
    assert house.right(house.yard, SECOND, asked) >= 0.9
    assert house.right(house.gate, SECOND, asked) >= before - 0.01
    began = time.monotonic()
    asked_back = decide(house, page, SECOND, "Roll back", "a test")
    assert time.monotonic() - began < 10, "the page's own time in it"
    assert page.get_by_role("button", name="Roll back").count() == 0, "there is nothing before the first version"
    assert house.right(house.gate, FIRST, asked_back) >= before - 0.01
    at_first = house.scores_of_who_stands(FIRST, 0)
    assert house.scores_of_who_stands(FIRST, asked_back) == at_first
    assert house.scores_of_who_stands(SECOND, asked) != at_first
    check_nothing_began_anew(house, processes)


def label_twelve(house: House, page: Any) -> None:
    """By keys alone, those of the audit sample first. Each label is another one than the network's."""
    wait_for(lambda: enough_to_label(house), 120, "events of both actions, of the audit sample and of the rest")
    for audit in ("true", "false"):
        page.goto(f"{house.service.url}/review?stream={house.yard}&audit_sample={audit}")
        page.locator("#inbox [aria-current=true]").wait_for()
        left = Counter(dict.fromkeys(LABELS, OF_EACH))
        for _ in range(page.locator("#inbox li").count()):
            label_current(house, page, left)
            if not left.total():
                break
            page.keyboard.press("j")
        assert not left.total(), left
    wait_for(lambda: clips(house) == {"stored": 4 * OF_EACH}, 60, f"clips of all labels: {clips(house)}")


def enough_to_label(house: House) -> bool:
    truths = house.truths(house.yard)
    found = Counter((e["audit_sample"], truths.get(e["track_id"])) for e in house.events(stream=house.yard))
    return all(found[audit, label] >= OF_EACH for audit in (True, False) for label in LABELS)


def label_current(house: House, page: Any, left: Counter[str]) -> None:
    row = page.locator("#inbox li:has([aria-current=true])")
    event = house.service.client.get(f"/v1/events/{row.get_attribute('data-event')}").json()
    truth = house.truths(house.yard).get(event["track_id"], "")
    if event["end_s"] is None or not left[truth]:
        return
    assert event["action"] != truth
    page.locator("#event-title").get_by_text(f"person {event['track_id']}", exact=False).wait_for()
    page.keyboard.press("x")
    page.keyboard.press(str(LABELS.index(truth) + 1))
    row.get_by_text(f"✗ wrong: {truth}").wait_for()
    left[truth] -= 1


def clips(house: House) -> dict[str, int]:
    items = house.service.client.get("/v1/corrections", params={"limit": 100}).json()["items"]
    return Counter(each["clip"] for each in items)


def train(house: House, page: Any) -> None:
    page.goto(f"{house.service.url}/train")
    row = page.get_by_role("row", name="Yard")
    row.wait_for()
    assert row.locator("td").all_inner_texts() == [f"{OF_EACH} (audit {OF_EACH})"] * 2
    page.get_by_label("Judge it by however few labels").check()
    page.get_by_role("button", name="Train").click()
    page.get_by_role("progressbar").wait_for()
    done = page.locator("#trainings > li", has_text=SECOND)
    done.wait_for(timeout=1000 * TRAINED_S)
    assert "Passed: no check speaks against it." in done.inner_text(), done.inner_text()
    assert "fewer labels than are asked for: 34 more from Yard" in done.inner_text()
    assert "judged on 6 audit labels" in done.inner_text()


def try_beside(house: House, page: Any) -> None:
    page.goto(f"{house.service.url}/models")
    version = page.get_by_role("article", name=SECOND, exact=True)
    version.get_by_role("button", name="Into the shadow").click()

    def judged() -> dict[str, float] | None:
        shown = house.service.client.get(f"/v1/models/{FIRST}/shadow").json()
        clips = {each["name"]: each for each in shown["by_stream"] if each["clips"] >= 3}
        return {name: each["agreement"] for name, each in clips.items()} if len(clips) == 2 else None

    agreement = wait_for(judged, 90, "clips of both cameras that both versions judged")
    assert agreement["Gate"] >= 0.9
    assert agreement["Yard"] <= 0.1
    page.reload()
    version.get_by_role("row", name="Yard").wait_for()


def decide(house: House, page: Any, version: str, what: str, reason: str) -> int:
    """→ how many messages there were before it."""
    page.goto(f"{house.service.url}/models")
    page.get_by_role("article", name=version, exact=True).get_by_role("button", name=what).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(reason)
    heard = len(house.heard.messages)
    dialog.get_by_role("button", name=what).click()
    dialog.wait_for(state="hidden", timeout=60_000)
    return heard


def check_nothing_began_anew(house: House, processes: list[int]) -> None:
    assert [each.pid for each in house.service.children("stream_process")] == processes
    for stream_id in (house.gate, house.yard):
        assert house.service.stream(stream_id)["restarts"] == 0
        messages = house.heard.of_type("tracks", stream_id=stream_id)
        numbers = [track["track_id"] for message in messages for track in message["tracks"]]
        assert numbers and min(numbers) <= 2 < max(numbers), "people are numbered on"
    sequence = [m["seq"] for _, m in list(house.heard.messages) if "seq" in m and m["type"] != "hello"]
    assert sequence == list(range(sequence[0], sequence[0] + len(sequence))), "nothing is lost over a switch"


# -- what dies on the way


@dataclass(frozen=True)
class Training:
    service: Service
    id: str

    def now(self) -> dict[str, Any]:
        return dict(self.service.client.get(f"/v1/trainings/{self.id}").json())

    def process(self) -> psutil.Process | None:
        for child in psutil.Process(self.service.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "models.retraining.child" in child.cmdline():
                    return child
        return None

    def until(self, state: str, step: str = "") -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            now = self.now()
            return now if now["state"] == state and step in now["step"] else None

        return dict(
            wait_for(reached, TRAINED_S, f"the training is {state}: {self.now()}; {self.service.log()[-2000:]}")
        )


def order(service: Service) -> Training:
    body = {"base": FIRST, "config": "quick", "force_count": True}
    answer = service.client.post("/v1/trainings", json=body)
    assert answer.status_code == 202, answer.text
    return Training(service, answer.json()["id"])


def weights_of(service: Service) -> set[str]:
    """Whatever lies there, hidden or not, but for the numbers of versions that were taken."""
    names = {path.name for path in (service.folder / "weights").iterdir() if path.suffix != ".number"}
    return names - {"person", FIRST}


def states(service: Service) -> dict[str, str]:
    return {v["version"]: v["state"] for v in service.client.get(f"/v1/models/{FIRST}/versions").json()["items"]}


@pytest.mark.exhaustive
@pytest.mark.parametrize("step", ["reading", "learning watch", "judging watch"])
@pytest.mark.parametrize("who", ["service", "training", "inference_process"])
def test_whatever_dies_in_a_training_the_former_network_serves_and_nothing_is_half(
    school: Service, who: str, step: str
) -> None:
    service = school
    write_corrections(service.folder / "data" / "corrections")
    service.start()
    training = order(service)
    process = wait_for(training.process, 30, "the training has a process")
    wait_for(lambda: step in training.now()["step"] or training.now()["version"], TRAINED_S, f"it is {step}")
    if who == "service":
        service.kill()
        wait_for(lambda: not process.is_running(), 10, "who trains for nobody ends")
        assert weights_of(service) <= {SECOND}
        service.start()
    else:
        (process if who == "training" else service.children(who)[0]).kill()
    if who == "training" and not training.now()["version"]:
        failed = training.until("failed")
        assert "was ended by signal 9" in failed["reason"], failed
        assert weights_of(service) == set()
        training = order(service)
    done = training.until("done")
    assert done["gate"]["passed"], done
    assert weights_of(service) == {SECOND}
    assert states(service) == {FIRST: "serving", SECOND: "passed"}
    made = service.folder / "data" / "trainings"
    wait_for(lambda: not list(made.glob("*/run")), 10, "what was made on the way goes, logs of failed ones stay")


@pytest.mark.exhaustive
def test_service_killed_after_a_verdict_keeps_its_clip_all_the_same(house: House) -> None:
    service = house.service
    events = wait_for(lambda: house.events(stream=house.yard), 60, "an event")
    said = service.client.put(f"/v1/events/{events[0]['id']}/verdict", json={"verdict": "right"})
    service.kill()
    assert said.status_code == 200
    service.start()
    wait_for(lambda: clips(house) == {"stored": 1}, 60, f"its clip: {clips(house)}")
    assert [path.name for path in (service.folder / "data" / "corrections").iterdir()] == [said.json()["id"]]
