from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from models.data.batches.flow import FlowMethod, flow_fields
from models.data.batches.flow_cache import FlowCache, FlowPrecision
from tests.models.data.footage import street


@pytest.mark.parametrize(("precision", "error"), [(FlowPrecision.INT8, 0.5 / 127), (FlowPrecision.FLOAT16, 1e-3)])
def test_cache_keeps_the_flow_as_exactly_as_it_says(tmp_path: Path, precision: FlowPrecision, error: float) -> None:
    cache = FlowCache(tmp_path, precision=precision)
    first = cache.fields(street())
    assert first.dtype == np.float32
    assert np.abs(first - flow_fields(street())).max() <= error + 1e-6
    assert np.array_equal(cache.fields(street()), first)
    assert np.load(cache.path(street())).dtype == np.dtype(precision.value)


def test_cache_reads_what_is_stored(tmp_path: Path) -> None:
    cache = FlowCache(tmp_path)
    cache.fields(street())
    np.save(cache.path(street()), np.full((*street().shape[:3], 2), 127, np.int8))
    assert np.unique(cache.fields(street())).tolist() == [1.0]


def test_cache_key_is_content_method_and_precision(tmp_path: Path) -> None:
    other = street().copy()
    other[3, 5, 5, 0] ^= 1
    paths = {
        FlowCache(tmp_path).path(street()),
        FlowCache(tmp_path).path(other),
        FlowCache(tmp_path, FlowMethod.TVL1).path(street()),
        FlowCache(tmp_path, precision=FlowPrecision.FLOAT16).path(street()),
        FlowCache(tmp_path).path(street().reshape(12, 128, 64, 3)),
    }
    assert len(paths) == 5
    assert FlowCache(tmp_path).path(street().copy()) in paths


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "foreign"])
def test_cache_damaged_file_is_computed_again(tmp_path: Path, damage: str) -> None:
    cache = FlowCache(tmp_path)
    good = cache.fields(street())
    path = cache.path(street())
    content = path.read_bytes()
    if damage == "foreign":
        np.save(path, np.zeros((3, 4), np.int8))
    else:
        path.write_bytes({"cut": content[:-100], "empty": b"", "text": b"no array"}[damage])
    assert np.array_equal(cache.fields(street()), good)
    assert path.read_bytes() == content


def test_cache_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(stream: object, array: object, allow_pickle: bool) -> None:
        stream.write(b"half")  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(np, "save", half)
        FlowCache(tmp_path).fields(street())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_cache_is_shared_by_threads(tmp_path: Path) -> None:
    cache = FlowCache(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(cache.fields, [street()] * 8))
    assert all(np.array_equal(result, results[0]) for result in results)
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".npy"]
