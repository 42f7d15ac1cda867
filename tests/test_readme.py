"""What the README says is true: the settings table, and every command of the five-minute tour, run as written."""

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from service.commands.settings import settings_table
from tests.support.places import REPOSITORY
from tests.support.service import Service, wait_for
from tests.support.street import EMPTY, TURN, write_walker

README = (REPOSITORY / "README.md").read_text("utf-8")
CACHE = REPOSITORY / ".cache" / "tests"
PORT = "127.0.0.1:8000"  # as in the README
TRACK_LINE = re.compile(r"\d+ (None None|[A-Za-z][^\d]* [01]\.\d+) \d+/64")
EVENT_LINE = re.compile(r"event (started|updated|ended) \S.* by person \d+")


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(language: str) -> list[str]:
    """The tour's code blocks in one language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", section("A five-minute tour"), re.DOTALL)


def test_settings_table_is_what_the_command_prints():
    between = README.partition("<!-- settings:begin -->")[2].partition("<!-- settings:end -->")[0]
    assert between.strip() == settings_table(), "put what `actoscope settings` prints between the marks"


def test_links_and_pictures_exist():
    targets = re.findall(r"\]\((?!https?:)([^)]+)\)", README)
    assert len(targets) > 3
    headings = {"#" + re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in re.findall(r"(?m)^#+ (.+)$", README)}
    for target in targets:
        assert target in headings if target.startswith("#") else (REPOSITORY / target).is_file(), target


def test_python_client_is_at_most_fifteen_lines():
    (client,) = blocks("python")
    assert len([line for line in client.splitlines() if line.strip()]) <= 15


class Visitor:
    """Types the tour's commands into one shell, in a folder that looks like the repository's root."""

    def __init__(self, folder: Path, service: Service) -> None:
        self.folder = folder
        self.service = service
        (folder / "samples").mkdir()
        write_walker(folder / "samples" / "street.mp4")
        (folder / ".venv" / "bin").mkdir(parents=True)
        for name in ("python", "actoscope"):
            program = Path(sys.executable).with_name(name)
            # A script, not a link: Python finds its packages beside the path that it is called by.
            script = folder / ".venv" / "bin" / name
            script.write_text(f'#!/bin/sh\nexec "{program}" "$@"\n')
            script.chmod(0o755)
        no_proxy = {name: value for name, value in service.environment.items() if not name.lower().endswith("_proxy")}
        self.environment = {**no_proxy, "PYTHONUNBUFFERED": "1"}

    def _aimed(self, text: str) -> str:
        return text.replace(PORT, f"127.0.0.1:{self.service.port}")

    def types(self, commands: str, timeout_s: float = 60) -> str:
        """Runs one block; ``ID`` and ``REC`` are kept for the next one. → what it printed."""
        lines = ["set -eu", "[ ! -f kept.sh ] || . ./kept.sh", self._aimed(commands)]
        lines += ["set | grep -E '^(ID|REC)=' > kept.sh || true"]
        done = subprocess.run(
            ["bash", "-c", "\n".join(lines)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, (commands, done.stdout, done.stderr)
        return done.stdout

    def hears(self, client: str, timeout_s: float = 300) -> list[str]:
        """Runs the client until it has told of a labelled person and of an event. → all that it printed."""
        (self.folder / "client.py").write_text(self._aimed(client))
        process = subprocess.Popen(
            [".venv/bin/python", "client.py"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines: list[str] = []

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip("\n"))

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            wait_for(lambda: tells_enough(list(lines)) or process.poll() is not None, timeout_s, "a label and an event")
        finally:
            process.kill()
            process.wait(10)
            reader.join(10)
            assert process.stdout is not None
            process.stdout.close()
        return lines


def tells_enough(lines: list[str]) -> bool:
    labelled = any(TRACK_LINE.fullmatch(line) and "None" not in line for line in lines)
    return labelled and any(EVENT_LINE.fullmatch(line) for line in lines)


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    folder = tmp_path_factory.mktemp("tour")
    roots = json.dumps([str(folder / "samples")])
    # Recordings are finished every 5 s, so that the tour takes less than its five minutes.
    with Service(tmp_path_factory.mktemp("service"), CACHE, segment_s="5", media_roots=roots) as running:
        yield Visitor(folder, running)


def decodes(path: Path) -> int:
    """→ the number of frames."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.e2e
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_tour_works_as_written(visitor: Visitor):
    add, look, ask, _ = blocks("sh")
    (client,) = blocks("python")
    stream = json.loads(visitor.types(add))
    assert (stream["name"], stream["record"]) == ("street", True)
    visitor.service.wait_state(stream["id"], "running", 60)
    assert json.loads(visitor.types(look))["state"] == "running"
    assert decodes(visitor.folder / "now.jpg") == 1
    lines = visitor.hears(client)
    strange = [line for line in lines if not (TRACK_LINE.fullmatch(line) or EVENT_LINE.fullmatch(line))]
    assert tells_enough(lines) and strange == [], lines[-20:]
    recordings = {"stream": stream["id"]}
    wait_for(lambda: visitor.service.client.get("/v1/recordings", params=recordings).json()["items"], 60, "a recording")
    answers = visitor.types(ask)
    assert '"min_confidence"' not in answers and '"status"' not in answers  # no problem was reported
    events, listed = (json.loads(text) for text in split_json(answers))
    assert all(event["stream_id"] == stream["id"] and event["confidence"] >= 0.3 for event in events["items"])
    assert events["items"] and listed["items"]
    assert decodes(visitor.folder / "review.mp4") > 10
    assert visitor.service.client.get(f"/v1/streams/{stream['id']}").status_code == 404


def split_json(text: str) -> list[str]:
    """Several JSON values one after the other → each by itself."""
    values, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        _, end = decoder.raw_decode(text)
        values.append(text[:end])
        text = text[end:]
    return values


@pytest.mark.exhaustive
@pytest.mark.e2e
@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path(sys.executable).with_name("actoscope").exists(), reason="actoscope is not installed")
def test_annotating_works_as_written(visitor: Visitor, monkeypatch: pytest.MonkeyPatch):
    # Short, and few clips of it: a clip takes a processor without AVX-512 seconds, and here the command is proven.
    write_walker(visitor.folder / "samples" / "street.mp4", turns=1)
    monkeypatch.setitem(visitor.environment, "ACTOSCOPE_CLIP_HOP", "64")
    visitor.types(blocks("sh")[3], timeout_s=540)
    assert decodes(visitor.folder / "overlay.mp4") == TURN + EMPTY
    kinds = {json.loads(line)["type"] for line in (visitor.folder / "events.jsonl").read_text().splitlines()}
    assert kinds == {"tracks", "action"}
