"""The folder that a training learns from, told apart by what it holds. Loads no network library."""

from __future__ import annotations

from pathlib import Path

from models.data.manifest import DATASET_FILE, Dataset, read_dataset
from models.data.tracks.scene_store import LabelledScenes, read_scenes
from models.data.tracks.track_folders import TRACKS_FOLDER
from models.errors import TrainingError
from models.networks.registry import NETWORKS, InputKind
from models.training.config import TrainConfig


def read_data(config: TrainConfig, folder: Path) -> Dataset | LabelledScenes:
    """A data set for networks of crops; the working folder that it was cut from for networks of scenes.

    Raises TrainingError where ``folder`` is the other of the two, DatasetError where it is neither, or damaged.
    """
    row = NETWORKS.get(config.network.kind)
    is_work = is_working_folder(folder)
    is_dataset = (folder / DATASET_FILE).is_file()
    if row is not None and row.inputs is InputKind.SCENE:
        if is_dataset and not is_work:
            raise TrainingError(
                f"{row.name} reads whole scenes: expected a working folder of `actoscope dataset extract` and `label` "
                f"(with {TRACKS_FOLDER}/ and labels.csv), got {folder}, a data set of crops"
            )
        return read_scenes(folder)
    if is_work and not is_dataset:
        raise TrainingError(
            f"{config.network.kind} reads crops: expected a data set of `actoscope dataset clips` (with "
            f"{DATASET_FILE}), got {folder}, a working folder (is {folder / 'dataset'} what you mean?)"
        )
    return read_dataset(folder)


def is_working_folder(folder: Path) -> bool:
    """Whether tracks lie in it: what data sets are cut from, and what networks of scenes learn from."""
    return (folder / TRACKS_FOLDER).is_dir()
