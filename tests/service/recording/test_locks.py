"""One service a data folder, one process a stream's recordings; and file systems that keep no locks."""

import errno
import fcntl
import multiprocessing
import threading
from pathlib import Path
from typing import Any

import pytest

from service.recording.locks import DataDirInUse, DataDirLock, DataDirUnusable, FolderLock, LocksNotKept, remove_unused


def _try_lock(folder: Path, answers: Any) -> None:
    try:
        DataDirLock(folder)
        answers.put("locked")
    except DataDirInUse as error:
        answers.put(str(error))


def test_second_process_on_the_same_folder_is_refused(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")

    def ask() -> str:
        other = context.Process(target=_try_lock, args=(tmp_path / "link", answers))
        other.start()
        answer: str = answers.get(timeout=30)
        other.join()
        return answer

    lock = DataDirLock(tmp_path / "data")
    assert "another Actoscope" in ask()
    lock.release()
    assert ask() == "locked"


@pytest.fixture(params=["flock", "lockf"])
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file system without one kind of lock. What such a mount answers is the only thing replaced."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, request.param, refuse)
    return str(request.param)


def test_data_folder_on_a_file_system_without_locks_is_refused_with_a_remedy(tmp_path: Path, no_locks: str):
    with pytest.raises(LocksNotKept) as caught:
        DataDirLock(tmp_path / "data")
    assert str(caught.value) == (
        f"the file system of {tmp_path / 'data'} does not lock files (No locks available): "
        "set ACTOSCOPE_DATA_DIR to a folder on a local disk"
    )


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def test_recordings_on_a_file_system_without_locks_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
):
    def refuse(*_: object) -> None:
        raise OSError(code, "scripted")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(LocksNotKept, match="does not lock files"):
        FolderLock(tmp_path / "str_a").acquire()


def test_disk_that_fails_is_no_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="Input/output") as caught:
        FolderLock(tmp_path / "str_a").acquire()
    assert not isinstance(caught.value, LocksNotKept)


def test_folder_lock_is_held_once_and_can_be_had_again(tmp_path: Path):
    first, second, other = FolderLock(tmp_path / "a"), FolderLock(tmp_path / "a"), FolderLock(tmp_path / "b")
    assert first.acquire() and first.acquire()
    assert not second.acquire(0.1)
    assert other.acquire(), "another stream's"
    first.release()
    assert second.acquire()
    for lock in (first, second, other):
        lock.release()


def test_locks_and_empty_folders_of_deleted_streams_go_and_those_in_use_stay(tmp_path: Path):
    for name in ("str_kept", "str_empty", "str_filled", "str_held", "str_gone"):
        (tmp_path / name).mkdir()
        lock = FolderLock(tmp_path / name)
        assert lock.acquire()
        lock.release()
    (tmp_path / "str_gone").rmdir()
    (tmp_path / "str_filled" / "1.mp4").touch()
    for foreign in (".lock", ".clock", ".keep.lock.txt"):
        (tmp_path / foreign).touch()
    held = FolderLock(tmp_path / "str_held")
    assert held.acquire()
    remove_unused(tmp_path, {"str_kept"})
    held.release()
    assert {path.name for path in tmp_path.iterdir()} == {
        *("str_kept", ".str_kept.lock", "str_filled", ".str_filled.lock", "str_held", ".str_held.lock"),
        *(".clock", ".keep.lock.txt"),
    }


def test_lock_that_was_removed_while_somebody_waited_for_it_is_not_held_twice(tmp_path: Path):
    first, second, third = (FolderLock(tmp_path / "a") for _ in range(3))
    assert first.acquire()
    waited: list[bool] = []
    waiting = threading.Thread(target=lambda: waited.append(second.acquire(30)))
    waiting.start()
    (tmp_path / ".a.lock").unlink()  # what ``remove_unused`` does under the lock
    first.release()
    waiting.join(30)
    assert waited == [True]
    assert not third.acquire()
    second.release()


def test_data_folder_that_is_a_file_says_so(tmp_path: Path):
    (tmp_path / "data").write_text("")
    with pytest.raises(DataDirUnusable, match=r"expected a folder that can be written, got .*data"):
        DataDirLock(tmp_path / "data")
