"""What of a job's state survives what: kills, damaged checkpoints, two attempts at once, another training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.errors import StoreConflictError, StoreError, TrainingError
from models.store.folder import FolderStore
from models.store.protocol import Stored
from models.training.batch.remote_state import RemoteState
from models.training.run.state import BEST_FILE, LAST_FILE, Checkpoint, load_checkpoint, save_checkpoint

KEY = "the training"


class Bench:
    """One job's folder on its machine, and its objects in a store."""

    def __init__(self, folder: Path) -> None:
        self.store = FolderStore(folder / "store")
        self.said: list[str] = []
        self.folder = folder / "run"
        self.folder.mkdir()

    def attempt(self, key: str = KEY) -> RemoteState:
        """As it is on a fresh machine."""
        for path in self.folder.iterdir():
            path.unlink()
        return RemoteState(self.store, "fold-1", key, self.said.append)

    def learn(self, epochs: int, *, best: bool = True) -> None:
        save_checkpoint(self.folder / LAST_FILE, Checkpoint(KEY, epochs, (np.full(3, epochs),)))
        if best:
            save_checkpoint(self.folder / BEST_FILE, Checkpoint(KEY, epochs, (np.full(3, -epochs),)))

    def epochs(self, name: str = LAST_FILE) -> int:
        state = load_checkpoint(self.folder / name, KEY)
        return state.epochs if state else 0

    def stored(self) -> list[str]:
        return [found.key for found in self.store.list()]

    def truncate(self, epochs: int) -> None:
        key = f"fold-1/epoch-{epochs:04d}.ckpt"
        content, _ = self.store.read(key)
        self.store.put_bytes(key, content[: len(content) // 2])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def trained(bench: Bench, epochs: int) -> None:
    remote = bench.attempt()
    for epoch in range(1, epochs + 1):
        bench.learn(epoch)
        remote.save(bench.folder, epoch)


def restored(bench: Bench) -> tuple[int, int] | None:
    """→ epochs and batches that the next attempt starts after."""
    kept = bench.attempt().restore(bench.folder)
    return (kept.epochs, kept.steps) if kept else None


def test_next_attempt_has_what_the_last_one_saved_and_old_checkpoints_go(bench: Bench) -> None:
    trained(bench, 4)
    assert bench.stored() == ["fold-1/LATEST", "fold-1/epoch-0003.ckpt", "fold-1/epoch-0004.ckpt"]
    remote = bench.attempt()
    assert str(remote.restore(bench.folder)) == "epoch 4"
    assert (bench.epochs(), bench.epochs(BEST_FILE)) == (4, 4)
    bench.learn(5, best=False)
    remote.save(bench.folder, 5)
    assert restored(bench) == (5, 0)
    assert (bench.epochs(), bench.epochs(BEST_FILE)) == (5, 4)
    assert sorted(path.name for path in bench.folder.iterdir()) == [BEST_FILE, LAST_FILE]


def test_truncated_newest_checkpoint_costs_one_epoch(bench: Bench) -> None:
    trained(bench, 4)
    bench.truncate(4)
    remote = bench.attempt()
    assert str(remote.restore(bench.folder)) == "epoch 3"
    assert bench.epochs() == 3
    assert "the checkpoint epoch-0004.ckpt cannot be used" in bench.said[-1]
    bench.learn(4)
    remote.save(bench.folder, 4)
    assert restored(bench) == (4, 0)


def test_missing_newest_checkpoint_costs_one_epoch(bench: Bench) -> None:
    trained(bench, 3)
    bench.store.delete("fold-1/epoch-0003.ckpt")
    assert restored(bench) == (2, 0)


def test_where_no_checkpoint_is_whole_it_says_so_and_starts_anew(bench: Bench) -> None:
    trained(bench, 2)
    bench.truncate(1)
    bench.truncate(2)
    remote = bench.attempt()
    assert remote.restore(bench.folder) is None
    assert "starts anew" in bench.said[-1]
    bench.learn(1)
    remote.save(bench.folder, 1)
    assert restored(bench) == (1, 0)


def test_of_two_attempts_at_once_one_fails(bench: Bench) -> None:
    first = bench.attempt()
    bench.learn(1)
    first.save(bench.folder, 1)
    second = bench.attempt()
    second.restore(bench.folder)
    bench.learn(2)
    second.save(bench.folder, 2)
    with pytest.raises(StoreConflictError):
        first.save(bench.folder, 2)
    fresh = bench.attempt()  # one that has not looked whether there is anything
    bench.learn(1)
    with pytest.raises(StoreConflictError):
        fresh.save(bench.folder, 1)


def test_another_training_is_refused_before_anything_is_touched(bench: Bench) -> None:
    trained(bench, 1)
    bench.attempt().finish({"metrics": {}})
    before = bench.stored()
    other = bench.attempt("another")
    with pytest.raises(TrainingError, match="take another --output"):
        other.restore(bench.folder)
    with pytest.raises(TrainingError, match="another configuration or data set"):
        other.done()
    assert bench.stored() == before


def test_done_says_what_came_out(bench: Bench) -> None:
    assert bench.attempt().done() is None
    bench.attempt().finish({"metrics": {"accuracy": 1.0}})
    assert bench.attempt().done() == {"key": KEY, "metrics": {"accuracy": 1.0}}


def test_failed_upload_raises_and_the_last_checkpoint_stays_the_newest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(bench, 1)
    remote = bench.attempt()
    remote.restore(bench.folder)

    def fail(key: str, source: Path, sha256: str) -> Stored:
        raise StoreError("the bucket is gone")

    with monkeypatch.context() as patch:
        patch.setattr(bench.store, "put", fail)
        bench.learn(2)
        with pytest.raises(StoreError, match="the bucket is gone"):
            remote.save(bench.folder, 2)
    assert restored(bench) == (1, 0)


def test_store_that_refuses_to_read_is_no_reason_to_start_anew(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(bench, 2)

    def refuse(key: str, target: Path, sha256: str) -> None:
        raise StoreError("you may not")

    monkeypatch.setattr(bench.store, "fetch", refuse)
    with pytest.raises(StoreError, match="you may not"):
        bench.attempt().restore(bench.folder)


def test_halt_in_the_middle_of_an_epoch_is_a_checkpoint_like_others(bench: Bench) -> None:
    trained(bench, 1)
    remote = bench.attempt()
    remote.restore(bench.folder)
    remote.save(bench.folder, 1, steps=30)
    assert restored(bench) == (1, 30)
    bench.store.put_bytes("fold-1/epoch-0001-000030.ckpt", b"half")
    assert restored(bench) == (1, 0)


def test_damaged_latest_is_told_with_what_to_do(bench: Bench) -> None:
    bench.store.put_bytes("fold-1/LATEST", b"{half")
    with pytest.raises(StoreError, match="remove it to start anew"):
        bench.attempt().restore(bench.folder)
