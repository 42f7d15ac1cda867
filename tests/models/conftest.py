"""Networks and clips that the tests of ``models`` share, each made once a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from models.weights.cards import CARD_FILE, LABELS_FILE, MODEL_FILE, ModelCard, ModelInput, read_card
from pipeline.files import file_sha256
from tests.models.clips import read_clip, read_video
from tests.support.places import REPOSITORY, SHARED

KINETICS = SHARED / "data" / "kinetics"
TINY_LABELS = ("Walking", "Standing", "Fighting", "Other", "Falling")


@pytest.fixture(autouse=True)
def same_start() -> None:
    """Every test starts from the same random numbers, whatever ran before it in the process."""
    keras = sys.modules.get("keras")
    if keras is not None:  # tests without networks do not load it
        keras.utils.set_random_seed(7)


@pytest.fixture(scope="session")
def kinetics_card() -> ModelCard:
    folder = REPOSITORY / "weights" / "i3d-kinetics400"
    if not (folder / CARD_FILE).is_file():
        pytest.skip("weights/i3d-kinetics400 is not here: `actoscope weights pull i3d-kinetics400`")
    return read_card(folder)


@pytest.fixture(scope="session")
def cricket() -> NDArray[np.uint8]:
    """uint8 (79, 224, 224, 3): a man bowls a cricket ball."""
    path = KINETICS / "v_CricketShot_g04_c01_rgb.gif"
    if not path.is_file():
        pytest.skip("../shared/data/kinetics is not here")
    return read_video(path)[0]


@pytest.fixture(scope="session")
def kinetics_clips(cricket: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """By Kinetics label: uint8 (64, 224, 224, 3)."""
    names = {"clean and jerk": "clean_and_jerk", "skateboarding": "skateboarding", "tai chi": "ta_chi"}
    clips = {label: read_clip(KINETICS / f"{name}.mp4") for label, name in names.items()}
    return {"playing cricket": cricket[:64], **clips}


def randomise(model: Any, seed: int = 3) -> None:
    """Give every weight, also statistics and gates, a value of its own, so that no mix-up can hide."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "seed" in weight.path:
            continue
        shape = tuple(weight.shape)
        spread = (2.0 / np.prod(shape[:-1])) ** 0.5 if len(shape) > 1 else 0.1
        value = rng.normal(0, spread, shape)
        if "_se/expand" in weight.path:
            value *= 0.02  # features of a random network are large: gates must open without all being 0 or 2
        weight.assign(np.abs(value) + 0.8 if weight.path.endswith("variance") else value)


def write_folder(
    folder: Path,
    model: Any,
    labels: tuple[str, ...],
    clip_shape: tuple[int, int, int],
    kind: Literal["crops", "scene"] = "crops",
) -> Path:
    folder.mkdir(parents=True)
    model.save(folder / MODEL_FILE)
    (folder / LABELS_FILE).write_text("\n".join(labels) + "\n", "utf-8")
    frames, height, width = clip_shape
    card = ModelCard(
        name=folder.name,
        kind="se_i3d",
        num_classes=len(labels),
        input=ModelInput(kind=kind, frames=frames, height=height, width=width),
        provenance="random weights of a test",
        licence="none",
        sha256={name: file_sha256(folder / name) for name in (MODEL_FILE, LABELS_FILE)},
    )
    (folder / CARD_FILE).write_text(card.model_dump_json(), "utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder of SE-I3D for clips of 16×64×64 and five classes, with random weights and open gates."""
    from models.networks.i3d import I3DConfig, build_i3d

    model = build_i3d(I3DConfig(num_classes=len(TINY_LABELS), size_hw=(64, 64)))
    randomise(model)
    return write_folder(tmp_path_factory.mktemp("weights") / "tiny", model, TINY_LABELS, (16, 64, 64))
