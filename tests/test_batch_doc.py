"""What docs/batch.md, docs/s3.md and deploy/aws-batch/README.md show is there: commands that parse, files they link."""

from __future__ import annotations

import re
import shlex

import pytest

from service.cli import build_parser
from tests.support.places import REPOSITORY

PAGES = [
    REPOSITORY / "docs" / "batch.md",
    REPOSITORY / "docs" / "s3.md",
    REPOSITORY / "deploy" / "aws-batch" / "README.md",
]
TEXT = "".join(page.read_text("utf-8") for page in PAGES[:2])
LINES = [
    line.removeprefix("actoscope ")
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("actoscope ")
]


@pytest.mark.parametrize("line", LINES)
def test_command_line_parses(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        arguments = build_parser().parse_args(shlex.split(line, comments=True))
    except SystemExit:
        pytest.fail(f"actoscope {line}: {capsys.readouterr().err}")
    assert callable(arguments.run)


def test_every_command_of_stores_and_jobs_is_shown() -> None:
    shown = {" ".join(line.split()[:2]) for line in LINES}
    assert shown >= {"store check", "dataset push", "dataset pull", "batch run", "batch submit", "batch reduce"}


def test_links_exist() -> None:
    for path in PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", path.read_text("utf-8")):
            assert (path.parent / target).is_file(), target
