"""The versions of a model on disk, and what the gate said of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.errors import CardError
from service.versions.names import VersionName
from service.versions.shelf import GATE_FILE, MAX_GATE_BYTES, find_version, versions_of
from tests.service.conftest import write_model


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    for name in ("gym", "gym@2", "gym@10", "gym-light", "gymnastics@2"):
        write_model(tmp_path / name)
    return tmp_path


def test_versions_of_an_alias_are_listed_newest_first_and_no_other(weights: Path):
    (weights / "gym@10" / GATE_FILE).write_text(json.dumps({"passed": True, "checks": [], "missing": []}))
    found = versions_of(weights, "gym")
    assert [(str(each.name), each.passed) for each in found] == [("gym@10", True), ("gym@2", False), ("gym", False)]
    assert found[0].created_at > 1_600_000_000
    assert [str(each.name) for each in versions_of(weights, "gymnastics")] == ["gymnastics@2"]
    assert versions_of(weights, "nothing") == []


def test_version_that_is_not_there_is_an_error(weights: Path):
    assert str(find_version(weights, VersionName("gym", 2)).name) == "gym@2"
    with pytest.raises(CardError, match="gym@3"):
        find_version(weights, VersionName("gym", 3))


@pytest.mark.parametrize(
    "content", ["", "[]", '{"passed": "yes"}', '{"passed": true} x', '"' + "x" * MAX_GATE_BYTES + '"']
)
def test_gate_that_cannot_be_read_did_not_pass(weights: Path, content: str):
    (weights / "gym@2" / GATE_FILE).write_text(content)
    facts = find_version(weights, VersionName("gym", 2))
    assert facts.gate is not None and not facts.passed
