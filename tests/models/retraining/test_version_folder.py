"""Versions appear whole or not at all, under a number of their own."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest

from models.errors import CardError
from models.retraining import version_folder
from models.retraining.gate import GATE_FILE, Gate
from models.retraining.version_folder import Draft, publish
from models.weights.cards import list_models
from models.weights.version_names import split_version, version_name, versions_in
from pipeline.files import write_atomically

GATE = Gate(passed=True, checks=())


def draft_of(folder: Path, content: str, light: bool = True) -> Draft:
    """Weights folders as far as publishing looks at them."""
    for name in ("own", "light"):
        made = folder / content / name
        made.mkdir(parents=True)
        (made / "model.keras").write_text(content)
        (made / "labels.txt").write_text("Walking\n")
        sums = {"model.keras": (content + name).encode().hex().ljust(64, "0")[:64], "labels.txt": "0" * 64}
        card = {"name": "weights", "kind": "i3d", "num_classes": 1, "provenance": "t", "licence": "n", "sha256": sums}
        (made / "card.json").write_text(json.dumps(card))
    other = ("guard-light", folder / content / "light") if light else None
    return Draft("guard", folder / content / "own", other, {"parent": "guard", "corrections": 12})


def shown(root: Path) -> list[str]:
    """What is there for whoever looks for versions."""
    return sorted(path.name for path in root.iterdir() if not path.name.startswith("."))


def test_versions_are_named_by_alias_and_number() -> None:
    assert version_name("guard", 1) == "guard"
    assert version_name("guard", 7) == "guard@7"
    assert split_version("guard@7") == ("guard", 7)
    for name in ("guard", "guard@1", "guard@0", "guard@x", "guard@@2"):
        assert split_version(name) == (name, 1)


def test_published_version_names_itself_its_light_network_and_its_gate(tmp_path: Path) -> None:
    assert publish(draft_of(tmp_path, "a"), GATE, tmp_path / "weights") == "guard@2"
    assert publish(draft_of(tmp_path, "b"), GATE, tmp_path / "weights") == "guard@3"
    cards = {card.folder.name: card for card in list_models(tmp_path / "weights")}
    assert list(cards) == ["guard-light@2", "guard-light@3", "guard@2", "guard@3"]
    assert (cards["guard@3"].name, cards["guard@3"].light, cards["guard@3"].corrections) == (
        *("guard@3", "guard-light@3"),
        12,
    )
    assert cards["guard-light@3"].light == ""
    assert json.loads((tmp_path / "weights" / "guard@2" / GATE_FILE).read_text())["passed"] is True
    assert shown(tmp_path / "weights") == list(cards)


def test_draft_that_was_published_before_a_kill_is_not_published_twice(tmp_path: Path) -> None:
    draft = draft_of(tmp_path, "a")
    assert publish(draft, GATE, tmp_path / "weights") == publish(draft, GATE, tmp_path / "weights") == "guard@2"
    assert versions_in(tmp_path / "weights", "guard") == [2]
    refused = Gate(passed=False, checks=(), missing=("1 more from Gate",))
    assert publish(draft, refused, tmp_path / "weights") == "guard@3"  # the same network, judged anew


def test_processes_that_publish_at_once_take_different_numbers(tmp_path: Path) -> None:
    drafts = [draft_of(tmp_path, content) for content in "abcd"]
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda d=draft: found.append(publish(d, GATE, tmp_path / "weights")))
        for draft in drafts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["guard@2", "guard@3", "guard@4", "guard@5"]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("at", range(1, 20))
def test_publication_killed_at_any_step_leaves_no_half_version(
    tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "weights"
    publish(draft_of(tmp_path, "a"), GATE, root)
    steps = iter(range(1, 100))

    def dying(function: object) -> object:
        def called(*args: object, **options: object) -> object:
            if next(steps) == at:
                raise Killed
            return function(*args, **options)  # type: ignore[operator]

        return called

    with monkeypatch.context() as patched:
        patched.setattr(version_folder, "write_atomically", dying(write_atomically))
        patched.setattr(version_folder, "_flush", dying(version_folder._flush))
        patched.setattr(Path, "rename", dying(Path.rename))
        with pytest.raises(Killed):
            publish(draft_of(tmp_path, "b"), GATE, root)
    for card in list_models(root):
        assert (card.folder / GATE_FILE).is_file() and (card.folder / "model.keras").is_file()
    after = publish(draft_of(tmp_path, "c"), GATE, root)
    names, last = shown(root), split_version(after)[1]
    assert names[-1] == f"guard@{last}" and f"guard-light@{last}" in names
    versions = {name.removeprefix("guard") for name in names if not name.startswith("guard-light")}
    assert names == sorted(name for n in versions for name in (f"guard{n}", f"guard-light{n}"))
    assert not list(root.glob(".*.part")) and not list(root.glob(".*publishing"))


def test_number_of_a_version_that_was_deleted_is_not_given_to_another(tmp_path: Path) -> None:
    root = tmp_path / "weights"
    publish(draft_of(tmp_path, "a"), GATE, root)
    for name in ("guard@2", "guard-light@2"):
        shutil.rmtree(root / name)
    assert publish(draft_of(tmp_path, "b"), GATE, root) == "guard@3"
    (root / ".guard.number").write_text("three")
    with pytest.raises(CardError, match=r"guard.number: expected the last number .* got 'three'"):
        publish(draft_of(tmp_path, "c"), GATE, root)


def test_version_of_a_light_network_by_itself_is_left_alone(tmp_path: Path) -> None:
    root = tmp_path / "weights"
    root.mkdir()
    own = Draft("guard-light", draft_of(tmp_path, "a").folder)
    assert publish(own, GATE, root) == "guard-light@2"
    assert publish(draft_of(tmp_path, "b"), GATE, root) == "guard@3"
    assert versions_in(root, "guard-light") == [2, 3]
