"""Reading clips for the cache of features: the draws of one clip come from one decoding of its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.data.manifest import Dataset
from models.errors import UnreadableFileError
from models.training.config import Mode
from models.training.crops import CropReader
from models.training.data import input_config
from tests.models.training_runs import make_dataset, tiny


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path, clips=6)


def reader() -> CropReader:
    return CropReader(input_config(tiny(), 1), Mode.RGB)


def test_draws_are_those_of_the_clip_whatever_was_read_before(dataset: Dataset) -> None:
    one, two = dataset.records[:2]
    kept = reader()
    for record, draw in ((one, 0), (one, 1), (two, 1), (one, 1), (one, 0)):
        clip, real = kept.read(record, draw)
        fresh, wanted = reader().read(record, draw)
        np.testing.assert_array_equal(clip, fresh)
        assert real == wanted


def test_further_draws_of_a_clip_do_not_read_its_file_again(dataset: Dataset) -> None:
    one, two = dataset.records[:2]
    kept = reader()
    first, _ = kept.read(one, 1)
    one.path.unlink()
    assert not np.array_equal(kept.read(one, 2)[0], first)
    kept.read(two, 0)  # one clip is kept, not all
    with pytest.raises(UnreadableFileError, match=one.path.name):
        kept.read(one, 1)
