"""A folder in a store under the hash of its content: a data set, or a model. It never changes once it is there.

    datasets/gym/<sha256>/tree.json              path, size and sha256 of every file; comes last, and so means: whole
    datasets/gym/<sha256>/files/manifest.csv …

``<sha256>`` stands for all paths and contents, so that the same folder is the same address, and any other is another.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from models.errors import NotStoredError, StoreError
from models.store.protocol import Step, Store, nobody
from pipeline.files import file_sha256

TREE_FILE, FILES = "tree.json", "files"
MAX_FILES = 1_000_000
MAX_LIST_BYTES = 512 << 20  # of a tree's list, which is read into memory: so many files have about 250 MiB
_WORKERS = 8  # files on their way at once


@dataclass(frozen=True, slots=True)
class TreeFile:
    """``path``: below the folder, with slashes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Tree:
    """All files of a folder by path, but those whose name, or whose folder's, begins with a dot."""

    files: tuple[TreeFile, ...]

    @property
    def sha256(self) -> str:
        lines = "".join(f"{file.sha256} {file.size} {file.path}\n" for file in self.files)
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


class Progress:
    """Bytes of a whole, told from several threads one after another."""

    def __init__(self, tell: Callable[[int, int], None], total: int) -> None:
        self._tell = tell
        self._total = total
        self._done = 0
        self._lock = threading.Lock()

    def step(self, more: int) -> None:
        with self._lock:
            self._done += more
            self._tell(self._done, self._total)


def survey(folder: Path) -> Tree:
    """Reads every file. Raises StoreError for a folder without files, OSError where one cannot be read."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path.relative_to(folder)))
    if not paths:
        raise StoreError(f"{folder} is no folder with files in it")
    with ThreadPoolExecutor(2, "hash") as pool:
        hashes = list(pool.map(file_sha256, paths))
    files = (
        TreeFile(path.relative_to(folder).as_posix(), path.stat().st_size, sha256)
        for path, sha256 in zip(paths, hashes, strict=True)
    )
    return Tree(tuple(sorted(files, key=lambda file: file.path)))


def push(store: Store, prefix: str, folder: Path, tree: Tree, tell: Callable[[int, int], None]) -> str:
    """→ the key that the tree lies at, ``prefix/<sha256>``. What is there already is not sent again.

    Raises StoreError, before anything is sent for what `pull` would refuse.
    """
    listed = _listed(tree)
    key = "/".join(filter(None, (prefix, tree.sha256)))
    if store.head(f"{key}/{TREE_FILE}") is not None:
        tell(tree.size, tree.size)
        return key
    progress = Progress(tell, tree.size)
    _together(partial(_send, store, key, folder, progress.step), tree.files)
    store.put_bytes(f"{key}/{TREE_FILE}", listed)
    return key


def _listed(tree: Tree) -> bytes:
    """→ what lies in its list. Raises StoreError for a tree that could never be read."""
    if len(tree.files) > MAX_FILES:
        raise StoreError(f"expected at most {MAX_FILES} files, got {len(tree.files)}: put them into fewer, larger ones")
    listed = {"version": 1, "sha256": tree.sha256, "files": [asdict(file) for file in tree.files]}
    content = json.dumps(listed, indent=1).encode()
    if len(content) > MAX_LIST_BYTES:
        raise StoreError(f"the list of the files has {len(content)} bytes, expected at most {MAX_LIST_BYTES}")
    return content


def pull(store: Store, key: str, folder: Path, tell: Callable[[int, int], None]) -> Tree:
    """Make ``folder`` hold the tree at ``key``; files that are there with the same content stay as they are.

    Raises StoreError for a tree or a file that is not what its hash says: nothing of such a file is left.
    """
    tree = read_tree(store, key)
    progress = Progress(tell, tree.size)
    _together(partial(_receive, store, key, folder, progress.step), tree.files)
    return tree


def read_tree(store: Store, key: str) -> Tree:
    """Raises StoreError where nothing was pushed, and where its list is not what the address says."""
    try:
        content, _ = store.read(f"{key}/{TREE_FILE}", MAX_LIST_BYTES)
    except NotStoredError as error:
        raise StoreError(f"{error}: expected the address that `push` printed, which ends with 64 hex digits") from error
    try:
        tree = Tree(tuple(TreeFile(**each) for each in json.loads(content)["files"]))
        _check_paths(tree)
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{key}/{TREE_FILE} is damaged: {error}") from error
    if tree.sha256 != PurePosixPath(key).name:
        raise StoreError(f"{key}/{TREE_FILE} lists files of the sha256 {tree.sha256}, not those of its address")
    return tree


def _check_paths(tree: Tree) -> None:
    """A list from elsewhere must not write beside the folder."""
    if len(tree.files) > MAX_FILES:
        raise ValueError(f"more than {MAX_FILES} files")
    for file in tree.files:
        path = PurePosixPath(file.path)
        if path.is_absolute() or not path.parts or ".." in path.parts or "\\" in file.path or "\0" in file.path:
            raise ValueError(f"{file.path!r} is no path below a folder")


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _send(store: Store, key: str, folder: Path, step: Step, file: TreeFile) -> None:
    place = f"{key}/{FILES}/{file.path}"
    there = store.head(place)
    if there is not None and (there.size, there.sha256) == (file.size, file.sha256):
        step(file.size)
    else:
        store.put(place, folder / file.path, file.sha256, step)


def _receive(store: Store, key: str, folder: Path, step: Step, file: TreeFile) -> None:
    target = folder / file.path
    if target.is_file() and target.stat().st_size == file.size and file_sha256(target) == file.sha256:
        step(file.size)
    else:
        store.fetch(f"{key}/{FILES}/{file.path}", target, file.sha256, step)


def _together(work: Callable[[TreeFile], None], files: Iterable[TreeFile]) -> None:
    """All files, several at once. The first error ends it, once what is on its way has ended."""
    with ThreadPoolExecutor(_WORKERS, "store") as pool:
        try:
            for _ in pool.map(work, files):
                pass
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def put_file(store: Store, key: str, source: Path, step: Step = nobody) -> None:
    """One file by its own hash."""
    store.put(key, source, file_sha256(source), step)
