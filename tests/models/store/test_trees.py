"""Folders in a store under the hash of their content."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.errors import StoreError
from models.store import trees
from models.store.opening import open_store
from models.store.protocol import MAX_READ_BYTES, Store
from models.store.trees import TREE_FILE, Tree, TreeFile, pull, push, read_tree, survey
from tests.support.s3 import BUSY, CUT, FaultProxy, first


def told(done: int, total: int) -> None:
    """Nobody asks."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {"dataset.json": "{}", "clips/a b/ü.mp4": "clip", ".hidden": "", ".git/x": ""}.items():
        path = tmp_path / "gym" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "gym"


def test_folder_comes_back_as_it_was_under_an_address_of_its_content(
    store: Store, folder: Path, tmp_path: Path
) -> None:
    progress: list[tuple[int, int]] = []
    tree = survey(folder)
    key = push(store, "datasets/gym", folder, tree, lambda done, total: progress.append((done, total)))
    assert key == f"datasets/gym/{tree.sha256}"
    assert progress[-1] == (6, 6)
    assert pull(store, key, tmp_path / "back", told) == tree
    assert (tmp_path / "back" / "clips" / "a b" / "ü.mp4").read_text() == "clip"
    assert survey(tmp_path / "back").sha256 == tree.sha256
    (folder / "dataset.json").write_text("{ }")
    assert survey(folder).sha256 != tree.sha256


def test_what_is_there_already_is_not_sent_or_fetched_again(
    shaky: Store, proxy: FaultProxy, folder: Path, tmp_path: Path
) -> None:
    tree = survey(folder)
    proxy.judge = lambda method, path: BUSY if method == "PUT" and path.endswith(".mp4") else None
    with pytest.raises(StoreError):
        push(shaky, "gym", folder, tree, told)
    assert shaky.head(f"gym/{tree.sha256}/{TREE_FILE}") is None
    proxy.judge = lambda method, path: None
    proxy.asked.clear()
    key = push(shaky, "gym", folder, tree, told)
    assert [line.rpartition("/")[2] for line in proxy.asked if line.startswith("PUT")] == ["%C3%BC.mp4", "tree.json"]
    proxy.asked.clear()
    push(shaky, "gym", folder, tree, told)
    assert [line.partition(" ")[0] for line in proxy.asked] == ["HEAD"]
    proxy.judge = first(1, CUT, "GET.*dataset.json")
    pull(shaky, key, tmp_path / "back", told)
    proxy.asked.clear()
    (tmp_path / "back" / "dataset.json").write_text("damaged")
    proxy.judge = lambda method, path: None
    pull(shaky, key, tmp_path / "back", told)
    assert [line.rpartition("/")[2] for line in proxy.asked if line.startswith("GET")] == ["tree.json", "dataset.json"]


def test_damaged_file_and_damaged_list_are_refused(folder: Path, tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    key = push(store, "gym", folder, survey(folder), told)
    store.put_bytes(f"{key}/files/dataset.json", b"[]")
    with pytest.raises(StoreError, match="sha256"):
        pull(store, key, tmp_path / "back", told)
    assert not (tmp_path / "back" / "dataset.json").exists()
    listed = json.loads(store.read(f"{key}/{TREE_FILE}")[0])
    listed["files"][0]["size"] += 1
    store.put_bytes(f"{key}/{TREE_FILE}", json.dumps(listed).encode())
    with pytest.raises(StoreError, match="not those of its address"):
        pull(store, key, tmp_path / "back", told)
    with pytest.raises(StoreError, match="the address that `push` printed"):
        pull(store, "gym", tmp_path / "back", told)


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "a/../../out", ""])
def test_list_that_would_write_beside_the_folder_is_refused(path: str, folder: Path, tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    key = push(store, "gym", folder, survey(folder), told)
    listed = json.loads(store.read(f"{key}/{TREE_FILE}")[0])
    listed["files"][0]["path"] = path
    store.put_bytes(f"{key}/{TREE_FILE}", json.dumps(listed).encode())
    with pytest.raises(StoreError, match="is damaged"):
        pull(store, key, tmp_path / "back", told)
    assert not (tmp_path / "back").exists()


def test_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no folder with files"):
        survey(tmp_path / "nosuch")


@pytest.mark.parametrize(("limit", "words"), [("MAX_FILES", "at most 1 files, got 2"), ("MAX_LIST_BYTES", "at most 1")])
def test_folder_that_could_never_be_pulled_is_refused_before_anything_is_sent(
    limit: str, words: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, limit, 1)
    store = open_store(tmp_path / "store")
    with pytest.raises(StoreError, match=words):
        push(store, "gym", folder, survey(folder), told)
    assert list(store.list()) == []


def test_list_larger_than_other_objects_is_read(tmp_path: Path) -> None:
    """A million files have a list of hundreds of MiB; here fewer with long names make as much."""
    store = open_store(tmp_path / "store")
    tree = Tree(tuple(TreeFile(f"{number:05d}".ljust(4000, "x"), 1, "0" * 64) for number in range(17_000)))
    listed = [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in tree.files]
    stored = store.put_bytes(f"gym/{tree.sha256}/{TREE_FILE}", json.dumps({"files": listed}).encode())
    assert stored.size > MAX_READ_BYTES
    assert read_tree(store, f"gym/{tree.sha256}") == tree
