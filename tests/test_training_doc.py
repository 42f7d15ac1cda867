"""What docs/training.md shows is there: commands and options that parse, a config that loads, files that it links."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from models.training.config import TrainConfig, load_config
from service.cli import build_parser
from tests.support.places import REPOSITORY

PAGE = REPOSITORY / "docs" / "training.md"
TEXT = PAGE.read_text("utf-8")
SPANS = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL))


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def command_lines() -> Iterator[str]:
    """Every line of a shell block that calls actoscope, without what is set before it."""
    for block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.match(r"[A-Z_]+=", words[0]):
                words.pop(0)
            if words and words[0] == "actoscope":
                yield shlex.join(words[1:])


def parsers(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """→ every subcommand's name and parser, at any depth."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield name, inner
                yield from parsers(inner)


def test_there_are_commands():
    assert len(list(command_lines())) > 20


@pytest.mark.parametrize("line", list(command_lines()))
def test_command_line_parses(line: str, capsys: pytest.CaptureFixture[str]):
    try:
        arguments = build_parser().parse_args(shlex.split(line))
    except SystemExit:
        pytest.fail(f"actoscope {line}: {capsys.readouterr().err}")
    assert callable(arguments.run)


def test_options_named_in_the_text_exist():
    """``extract --format h264``: a step and an option of it; ``actoscope … --help``; ``--split``: of any step."""
    steps = dict(parsers(build_parser()))
    everywhere = {option for parser in steps.values() for option in parser._option_string_actions}
    named = 0
    for span in SPANS:
        first, *others = span.split()
        options = {word for word in [first, *others] if word.startswith("--") and word != "--logdir"}
        known = set(steps[first]._option_string_actions) if first in steps else everywhere
        assert options <= known, f"`{span}`: {options - known}"
        named += len(options)
    assert named > 20


def test_help_that_the_text_sends_to_is_there(capsys: pytest.CaptureFixture[str]):
    lines = [span.split()[1:] for span in SPANS if span.startswith("actoscope ") and span.endswith(" --help")]
    assert len(lines) == 4
    for words in lines:
        with pytest.raises(SystemExit) as left:
            build_parser().parse_args(words)
        assert left.value.code == 0
        assert "usage: actoscope" in capsys.readouterr().out


def test_configs_load_and_fields_named_in_the_table_exist(tmp_path: Path):
    path = tmp_path / "small.py"
    (source,) = blocks("python")
    path.write_text(source)
    assert load_config(path).name == "small"
    table = TEXT.partition("| part of `TrainConfig`")[2].partition("\n\n")[0]
    named = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert named <= {field.name for field in fields(TrainConfig)} and len(named) == 7


def test_links_and_pictures_exist():
    targets = re.findall(r"\]\((?!https?:)([^)]+)\)", TEXT)
    headings = {"#" + re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in re.findall(r"(?m)^#+ (.+)$", TEXT)}
    assert len(targets) > 4
    for target in targets:
        assert target in headings if target.startswith("#") else (PAGE.parent / target).is_file(), target
