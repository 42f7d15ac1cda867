"""A configuration that is written down is the same when it is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.data.batches.augment_config import AugmentConfig
from models.data.batches.clip_window import WindowConfig
from models.errors import TrainingError
from models.training.config import (
    FRAME_FEATURES,
    CardText,
    ClipInput,
    DistilConfig,
    LossConfig,
    NetworkConfig,
    TrainConfig,
    TrustConfig,
    load_config,
)
from models.training.config_source import config_source
from models.training.search import Choice, SearchConfig, Uniform
from tests.models.training_runs import tiny
from tests.support.places import REPOSITORY

CONFIGS = REPOSITORY / "models" / "configs"
EVERYTHING = TrainConfig(
    'gym "1"\\',
    network=NetworkConfig("cnn_gru", init="", options={"backbone": "MobileNetV3Small", "weights": None, "sizes": [1]}),
    transfer=FRAME_FEATURES,
    loss=LossConfig(class_weights={"Squat": 2.0}),
    input=ClipInput(window=WindowConfig(20, real=12), augment=AugmentConfig(flip=0.1, zoom=(0.5, 1.5))),
    card=CardText(recipes={"mine": "text\nof two lines"}),
    distil=DistilConfig(unlabelled=("Other",), trust=TrustConfig(chance=0.8)),
    search=SearchConfig({"mixup": Uniform(0, 0.4), "batch_size": Choice((8, 16))}),
)


def read_back(config: TrainConfig, folder: Path, docstring: str = "Of a test.") -> TrainConfig:
    path = folder / "written.py"
    path.write_text(config_source(config, docstring), "utf-8")
    return load_config(path)


def test_numbers_of_numpy_are_written_as_numbers(tmp_path: Path) -> None:
    config = replace(tiny(), mixup=np.float64(0.25))
    assert "np." not in config_source(config, "Of a test.") and read_back(config, tmp_path).mixup == 0.25


@pytest.mark.parametrize(
    "path", [*CONFIGS.glob("[!_]*.py"), *CONFIGS.glob("roads/[!_]*.py")], ids=lambda path: path.stem
)
def test_every_shipped_configuration_is_written_and_read(path: Path, tmp_path: Path) -> None:
    config = load_config(path)
    assert read_back(config, tmp_path, config.description) == replace(
        config, description=config.description.strip() + "\n"
    )


@pytest.mark.parametrize("config", [EVERYTHING, tiny()], ids=["everything", "tiny"])
def test_every_kind_of_value_comes_back(config: TrainConfig, tmp_path: Path) -> None:
    said = 'Has """three quotes""", a \\ and ends with "one"'
    assert read_back(config, tmp_path, said) == replace(config, description=f"{said}\n")


def test_what_is_as_it_is_by_default_is_left_out() -> None:
    text = config_source(TrainConfig("gym", batch_size=4), "Mine.")
    assert "name='gym'" in text and "batch_size=4" in text and "optimizer" not in text


def test_value_that_cannot_be_written_is_told() -> None:

    with pytest.raises(TrainingError, match=r"a configuration with .*Path.* cannot be written down"):
        config_source(replace(EVERYTHING, network=NetworkConfig(options={"file": Path("x")})), "")
