"""docs/alerts.md, "From nothing to a message": its commands as they stand, with a browser where it says so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import NewService
from tests.service.web.conftest import browser, log_in  # noqa: F401 - browser is a fixture
from tests.support.places import REPOSITORY
from tests.support.service import SAMPLE_URL, Service, free_port, wait_for

PASSWORD = "a password for the evening"


def part() -> str:
    text = (REPOSITORY / "docs" / "alerts.md").read_text("utf-8")
    return text.split("## From nothing to a message", 1)[1].split("\n## ", 1)[0]


def receiver() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "sinks.md").read_text("utf-8"), re.DOTALL)
    return str(code)


@pytest.fixture
def evening(tmp_path: Path, new_service: NewService) -> Iterator[Evening]:
    started = Evening(tmp_path, new_service)
    with started.service:
        yield started
    started.end()


class Evening:
    """A folder in which the commands run: other ports than theirs, which may be taken, everything else as it stands."""

    def __init__(self, folder: Path, new_service: NewService) -> None:
        self.folder = folder / "home"
        (self.folder / ".venv" / "bin").mkdir(parents=True)
        for name in ("python", "actoscope"):
            (self.folder / ".venv" / "bin" / name).write_text(f'#!/bin/sh\n{PROGRAMS[name]} "$@"\n')
            (self.folder / ".venv" / "bin" / name).chmod(0o755)
        self.service = new_service(folder, sink_hosts="127.0.0.1")
        self.receiver_port = free_port()
        self.messages = self.folder / "messages.txt"
        (self.folder / "receiver.py").write_text(self._elsewhere(receiver()))
        self._children = self.folder / "children"

    def _elsewhere(self, text: str) -> str:
        return text.replace("8000", str(self.service.port)).replace("9000", str(self.receiver_port))

    def run(self, *blocks: str) -> None:
        """All in one shell, since later ones use what earlier ones set; who stays in the background is kept."""
        script = "\n".join(["set -e", *blocks, f"jobs -p >> {self._children}"])
        environment = {**self.service.environment, "PYTHONPATH": str(REPOSITORY)}
        said = self.folder / "said.txt"  # a pipe would wait for the receiver, which goes on
        with said.open("w") as output:
            done = subprocess.run(
                ["bash", "-c", self._elsewhere(script)],
                cwd=self.folder,
                env=environment,
                input=f"{PASSWORD}\n",
                stdout=output,
                stderr=output,
                text=True,
                timeout=120,
                check=False,
            )
        assert done.returncode == 0, said.read_text()

    def end(self) -> None:
        for pid in self._children.read_text().split() if self._children.exists() else ():
            os.kill(int(pid), 9)


PROGRAMS = {
    # pip would change the environment that runs the tests: what it is asked for is there already
    "python": f'[ "$2" = pip ] && exec {sys.executable} -c "import standardwebhooks"; exec {sys.executable}',
    "actoscope": f"exec {sys.executable} -m service.cli",
}


def draw_street(page: Any, service: Service) -> None:
    """Logs in and draws the zone over the whole picture."""
    page.goto(service.url)
    log_in(page, "anna", PASSWORD)
    page.locator(".card").get_by_role("button", name="Zones").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="New zone").click()
    wait_for(
        lambda: page.evaluate("document.getElementById('zones-still').naturalWidth") > 0, 20, service.log()[-2000:]
    )
    box = page.locator("#zones-still").bounding_box()
    for x, y in ((0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99)):
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    dialog.get_by_label("Name of zone 1").fill("street")
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="hidden")


def test_commands_of_the_page_lead_to_a_message_whose_signature_is_checked(evening: Evening, browser: Any):  # noqa: F811
    start, people, rule = re.findall(r"```sh\n(.*?)```", part(), re.DOTALL)
    assert start.split() == ["ACTOSCOPE_SINK_HOSTS=127.0.0.1", "make", "run"]
    stream = evening.service.add_stream(SAMPLE_URL, name="Sample street")  # as `make run` adds it
    evening.service.wait_state(stream["id"], "running", 60)
    picture = f"/v1/streams/{stream['id']}/snapshot.jpg"
    wait_for(lambda: evening.service.client.get(picture).status_code == 200, 60, "a picture, which the page will show")
    token_file = evening.folder / "token"
    evening.run(
        people.replace("users add anna --role admin", "users add anna --role admin --password-stdin"),
        f"echo $TOKEN > {token_file}",
    )
    draw_street(browser.new_page(), evening.service)
    evening.run(f"TOKEN={token_file.read_text().strip()}", rule)
    wait_for(
        lambda: "incident.started" in evening.messages.read_text(), 90, "a message: " + evening.service.log()[-2000:]
    )
    line = evening.messages.read_text().splitlines()[0]
    assert re.match(r"msg_\d+ incident\.started \{.*'rule_name': 'Somebody walks'", line), line
    assert "'zone': 'street'" in line and "'action': 'Walking'" in line
