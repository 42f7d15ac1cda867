from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from models.errors import ChecksumError, PullError, UnsafeCheckpointError
from models.weights.checkpoint import load_arrays, read_member


class Shell:
    """Unpickled by the standard library, this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", [3, 4])
def test_load_arrays_reads_nested_dicts(protocol: int) -> None:
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    tree = {"params": {"unit": {"kernel": kernel}}, "step": np.array(3)}
    arrays = load_arrays(pickle.dumps(tree, protocol))
    assert sorted(arrays) == ["params/unit/kernel", "step"]
    np.testing.assert_array_equal(arrays["params/unit/kernel"], kernel)


def test_load_arrays_refuses_code_and_does_not_run_it(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    evil = pickle.dumps({"params": np.ones(3), "hook": Shell(mark)})
    with pytest.raises(UnsafeCheckpointError, match=r"posix\.system"):
        load_arrays(evil)
    assert not mark.exists()
    pickle.loads(evil)  # the payload is live: only the restriction stopped it
    assert mark.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy.testing._private.utils\nrunstring\n(S'1'\nS'2'\ntR.",
        b"cos\nsystem\n(S'true'\ntR.",
        pickle.dumps({"a": np.array([print], dtype=object)}),
        pickle.dumps({"a": "text"}),
        pickle.dumps({1: np.ones(2)}),
        pickle.dumps([np.ones(2)]),
        pickle.dumps({"a": np.ones(3)})[:-20],
        b"",
        b"not a pickle",
        b"P7\n.",
    ],
)
def test_load_arrays_refuses_everything_else(data: bytes) -> None:
    with pytest.raises(UnsafeCheckpointError):
        load_arrays(data)


def archive(path: Path, name: str, data: bytes) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("pkg/link.ckpt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return path


def test_read_member_returns_the_checked_file(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", "pkg-1.0/weights/net.ckpt", b"numbers")
    assert read_member(path, "weights/net.ckpt", hashlib.sha256(b"numbers").hexdigest()) == b"numbers"


def test_read_member_of_other_content_tells_expected_and_actual(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", "pkg-1.0/net.ckpt", b"numbers")
    with pytest.raises(ChecksumError) as caught:
        read_member(path, "net.ckpt", "0" * 64)
    assert "0" * 64 in str(caught.value)
    assert hashlib.sha256(b"numbers").hexdigest() in str(caught.value)


@pytest.mark.parametrize("member", ["other.ckpt", "link.ckpt", "t.ckpt"])
def test_read_member_of_no_regular_file_is_refused(tmp_path: Path, member: str) -> None:
    path = archive(tmp_path / "a.tar.gz", "pkg-1.0/net.ckpt", b"numbers")
    with pytest.raises(PullError, match=r"a\.tar\.gz has no file"):
        read_member(path, member, "0" * 64)


def test_read_member_of_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", "pkg-1.0/net.ckpt", np.random.default_rng(1).bytes(4000))
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(PullError, match="cannot be read"):
        read_member(path, "net.ckpt", "0" * 64)
