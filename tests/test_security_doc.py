"""docs/security.md: every promise names a test, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.places import REPOSITORY

PAGE = (REPOSITORY / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", PAGE)))


def functions_of(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", NAMED)
def test_named_test_exists(name: str):
    file, _, test = name.partition("::")
    found = functions_of(REPOSITORY / file)
    assert any(each.startswith("test_") for each in found)
    assert not test or test in found


def test_every_promise_names_a_test():
    promises = [line for line in PAGE.splitlines() if line.startswith("| ") and "tests/" in line]
    tables = PAGE.count("| promise | shown by |")
    rows = [block.split("\n\n")[0].splitlines()[2:] for block in PAGE.split("| promise | shown by |")[1:]]
    assert tables >= 5
    assert sum(map(len, rows)) == len(promises) > 20
    assert not [row for table in rows for row in table if "`tests/" not in row]
