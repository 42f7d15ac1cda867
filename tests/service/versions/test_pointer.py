"""Which version serves: the file, what is read of one that is missing or broken, and where a roll-back goes to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from service.versions.names import VersionName, is_pinned
from service.versions.pointer import MAX_HISTORY, Pointer, Pointers, VersionChange


def change(version: str, before: str, what: str = "promoted") -> VersionChange:
    return VersionChange(what, version, before, 1_777_000_000.5, "nina", "better")


def changed(*changes: tuple[str, str, str]) -> Pointer:
    pointer = Pointer("gym", "gym")
    for what, version, before in changes:
        pointer = pointer.with_change(change(version, before, what))
    return pointer


@pytest.fixture
def pointers(tmp_path: Path) -> Pointers:
    for name in ("gym", "gym@2", "gym@3"):
        (tmp_path / "weights" / name).mkdir(parents=True)
        (tmp_path / "weights" / name / "card.json").touch()
    return Pointers(tmp_path / "data", tmp_path / "weights")


@pytest.mark.parametrize(
    ("name", "alias", "number", "pinned"),
    [
        ("gym", "gym", 1, False),
        ("gym@1", "gym", 1, True),
        ("gym@12", "gym", 12, True),
        ("gym@0", "gym@0", 1, False),
        ("gym@two", "gym@two", 1, False),
        ("@2", "@2", 1, False),
        ("a@2@3", "a@2@3", 1, False),
    ],
)
def test_name_is_an_alias_and_a_number(name: str, alias: str, number: int, pinned: bool):
    assert VersionName.parse(name) == VersionName(alias, number)
    assert is_pinned(name) is pinned


def test_first_version_is_called_as_its_alias():
    assert [str(VersionName.parse(name)) for name in ("gym", "gym@1", "gym@2")] == ["gym", "gym", "gym@2"]


def test_pointer_comes_back_as_it_was_written_and_says_what_serves(pointers: Pointers):
    assert pointers.read("gym") == Pointer("gym", "gym")
    assert pointers.serving("gym") == "gym"
    written = replace(changed(("promoted", "gym@2", "gym")), shadow="gym@3", shadow_since=5.5)
    pointers.write(written)
    assert pointers.read("gym") == written
    assert (pointers.serving("gym"), pointers.shadows(), pointers.aliases()) == ("gym@2", {"gym": "gym@3"}, ["gym"])


def test_name_that_is_pinned_or_a_path_means_itself_whatever_serves(pointers: Pointers):
    pointers.write(changed(("promoted", "gym@2", "gym")))
    assert [pointers.serving(name) for name in ("gym@1", "gym@3", "/weights/gym")] == ["gym", "gym@3", "/weights/gym"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"serving": "gym@2", "shadow": null, "shadow_since": null, "history": [{}]}',
        '{"serving": "other@2", "shadow": null, "shadow_since": null, "history": []}',
    ],
)
def test_file_that_is_broken_leaves_the_first_version_serving(pointers: Pointers, tmp_path: Path, content: str):
    pointers.write(changed(("promoted", "gym@2", "gym")))
    (tmp_path / "data" / "models" / "gym.json").write_text(content)
    assert pointers.serving("gym") == "gym"


def test_version_whose_folder_is_gone_is_replaced_by_the_one_before(pointers: Pointers, tmp_path: Path):
    pointers.write(changed(("promoted", "gym@2", "gym"), ("promoted", "gym@3", "gym@2")))
    (tmp_path / "weights" / "gym@3" / "card.json").unlink()
    assert pointers.serving("gym") == "gym@2"
    (tmp_path / "weights" / "gym@2" / "card.json").unlink()
    assert pointers.serving("gym") == "gym"


@pytest.mark.parametrize(
    ("changes", "before"),
    [
        ((), None),
        ((("promoted", "gym@2", "gym"),), "gym"),
        ((("promoted", "gym@2", "gym"), ("promoted", "gym@3", "gym@2")), "gym@2"),
        ((("promoted", "gym@2", "gym"), ("promoted", "gym@3", "gym@2"), ("rolled_back", "gym@2", "gym@3")), "gym"),
        ((("promoted", "gym@2", "gym"), ("automatic", "gym", "gym@2")), None),
        ((("promoted", "gym@2", "gym"), ("failed", "gym@3", "gym@2")), "gym"),
        ((("promoted", "gym@2", "gym"), ("rolled_back", "gym", "gym@2"), ("promoted", "gym@2", "gym")), "gym"),
    ],
)
def test_roll_back_goes_to_what_served_before_and_never_to_what_was_left(
    changes: tuple[tuple[str, str, str], ...], before: str | None
):
    assert changed(*changes).before() == before


def test_failed_change_is_remembered_and_changes_nothing():
    pointer = replace(Pointer("gym", "gym"), shadow="gym@3", shadow_since=1.0)
    failed = pointer.with_change(change("gym@2", "gym", "failed"))
    assert (failed.serving, failed.shadow, len(failed.history)) == ("gym", "gym@3", 1)
    assert list(failed.former()) == []
    assert failed.with_change(change("gym@2", "gym")).shadow is None, "it was tried beside another one"


def test_history_is_bounded(pointers: Pointers):
    pointer = Pointer("gym", "gym")
    for _ in range(MAX_HISTORY + 5):
        pointer = pointer.with_change(change("gym@2", "gym"))
    pointers.write(pointer)
    assert len(pointers.read("gym").history) == MAX_HISTORY


def test_disk_that_takes_nothing_leaves_the_file_as_it_was(pointers: Pointers, tmp_path: Path):
    pointers.write(changed(("promoted", "gym@2", "gym")))
    before = (tmp_path / "data" / "models" / "gym.json").read_text()
    with pytest.raises(TypeError):
        pointers.write(replace(Pointer("gym", "gym@3"), shadow=object()))  # type: ignore[arg-type]
    assert (tmp_path / "data" / "models" / "gym.json").read_text() == before
    assert json.loads(before)["serving"] == "gym@2"
    assert [path.name for path in (tmp_path / "data" / "models").iterdir()] == ["gym.json"]
