"""Files that are whole or not there, and folders that are made once, whoever asks at the same time."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import pytest

from pipeline import files
from pipeline.files import file_sha256, kept_folder, write_atomically

REPOSITORY = Path(__file__).resolve().parents[2]
MAKER = """
import sys, time
from pathlib import Path
from pipeline.files import kept_folder
root, who = Path(sys.argv[1]), sys.argv[2]

def make(folder):
    with (root / "makers.txt").open("a") as calls:
        calls.write(who)
    (folder / "first").write_text(who)
    time.sleep(1.5)
    (folder / "second").write_text(who)

print("ready", flush=True)
sys.stdin.readline()
folder = kept_folder(root, "thing", make)
print((folder / "first").read_text() + (folder / "second").read_text())
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_file_sha256_is_that_of_the_content(tmp_path: Path) -> None:
    content = bytes(range(256)) * 8192
    (tmp_path / "file").write_bytes(content)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_write_atomically_takes_text_bytes_and_writers(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "Straße\n")
    assert path.read_bytes() == "Straße\n".encode()
    write_atomically(path, b"\x00\r\n")
    assert path.read_bytes() == b"\x00\r\n"
    write_atomically(path, lambda file: file.write(b"by hand"))
    assert path.read_bytes() == b"by hand"
    assert names(tmp_path) == ["file"]


def test_write_atomically_that_fails_keeps_the_old_content_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def half(file: IO[bytes]) -> None:
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, half)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "nowhere" / "file", "x")


def test_write_atomically_from_several_threads_leaves_one_whole_content(tmp_path: Path) -> None:
    contents = [f"{n}" * 200_000 for n in range(4)]
    threads = [threading.Thread(target=write_atomically, args=(tmp_path / "file", each)) for each in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (tmp_path / "file").read_text() in contents
    assert names(tmp_path) == ["file"]


def test_kept_folder_is_made_once(tmp_path: Path) -> None:
    calls: list[Path] = []

    def make(fresh: Path) -> None:
        calls.append(fresh)
        (fresh / "file").write_text("x")

    root = tmp_path / "deep" / "root"
    assert kept_folder(root, "name", make) == kept_folder(root, "name", make) == root / "name"
    assert len(calls) == 1
    assert names(root) == ["name"]
    assert (root / "name").stat().st_mode & 0o777 == root.stat().st_mode & 0o777  # no more private than its root


def test_kept_folder_that_lost_a_file_is_made_again(tmp_path: Path) -> None:
    def make(fresh: Path) -> None:
        for name in ("a", "b"):
            (fresh / name).touch()

    folder = kept_folder(tmp_path, "name", make, ("a", "b"))
    (folder / "b").unlink()
    (folder / "stray").touch()
    assert names(kept_folder(tmp_path, "name", make, ("a", "b"))) == ["a", "b"]


def test_kept_folder_whose_maker_fails_leaves_nothing_and_the_next_try_works(tmp_path: Path) -> None:
    def fail(fresh: Path) -> None:
        (fresh / "half").touch()
        raise ValueError("no such operation")

    with pytest.raises(ValueError, match="no such operation"):
        kept_folder(tmp_path, "name", fail)
    assert names(tmp_path) == []
    assert kept_folder(tmp_path, "name", lambda fresh: None).is_dir()


def test_kept_folder_under_a_file_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "blocked").touch()
    with pytest.raises(OSError, match="blocked"):
        kept_folder(tmp_path / "blocked", "name", lambda fresh: None)


def test_kept_folder_two_processes_at_once_make_it_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKER, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": REPOSITORY}
    both = [subprocess.Popen([*command, who], **pipes) for who in "AB"]  # type: ignore[call-overload]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0].strip() for process in both]
    maker = (tmp_path / "makers.txt").read_text()
    assert len(maker) == 1
    assert answers == [2 * maker] * 2
    assert names(tmp_path) == ["makers.txt", "thing"]


def test_kept_folder_of_many_threads_is_made_once_and_the_lock_is_gone(tmp_path: Path) -> None:
    calls: list[int] = []

    def make(fresh: Path) -> None:
        calls.append(threading.get_ident())
        time.sleep(0.2)
        (fresh / "file").touch()

    threads = [threading.Thread(target=kept_folder, args=(tmp_path, "thing", make)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(calls) == 1
    assert names(tmp_path) == ["thing"]


def test_kept_folder_goes_on_where_a_holder_of_the_lock_was_killed(tmp_path: Path) -> None:
    program = MAKER.replace("time.sleep(1.5)", "print('inside', flush=True); time.sleep(60)")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": REPOSITORY}
    command = [sys.executable, "-c", program, str(tmp_path), "A"]
    with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload]
        process.stdin.write("go\n")
        process.stdin.flush()
        assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "inside\n"]
        process.kill()
    assert kept_folder(tmp_path, "thing", lambda fresh: None).is_dir()
    assert not (tmp_path / ".thing.lock").exists()


def test_default_cache_dir_follows_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert files.default_cache_dir() == tmp_path / "actoscope"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert files.default_cache_dir() == Path.home() / ".cache" / "actoscope"
