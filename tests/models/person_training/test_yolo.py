"""Reading, writing and training: resumable, silent, and nothing personal in the file."""

from __future__ import annotations

import getpass
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models.errors import TrainingError
from models.person_training import yolo
from models.person_training.pictures import to_text
from models.person_training.surgery import only_person

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*lr_scheduler:UserWarning",  # ultralytics steps its schedule before the first accumulated step
    "ignore:.*pin_memory:UserWarning",
    "ignore::DeprecationWarning:torch",
    "ignore:CUDA initialization:UserWarning",  # a process that has loaded TensorFlow, on a machine without a GPU
)
TINY: dict[str, Any] = {"image_size": 64, "batch": 2, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures of a bright bar on noise, labelled, in each split."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (folder / split / kind).mkdir(parents=True)
        for index in range(4):
            image = rng.integers(0, 90, (64, 96, 3), np.uint8)
            image[10:50, 20 + 9 * index : 34 + 9 * index] = 240
            cv2.imwrite(str(folder / split / "images" / f"{index}.jpg"), image)
            box = np.array([[20 + 9 * index, 10, 34 + 9 * index, 50]], np.float32)
            (folder / split / "labels" / f"{index}.txt").write_text(to_text(box, (64, 96)))
    return folder


def test_written_network_answers_as_before_in_half_precision(network: Any, tmp_path: Path) -> None:
    import torch

    one = only_person(network)
    yolo.write_network(one, tmp_path / "person.pt", "a test")
    read = yolo.read_network(tmp_path / "person.pt")
    assert read.names == {0: "person"}
    for name, value in one.state_dict().items():
        np.testing.assert_array_equal(
            read.state_dict()[name], value.half().float() if value.is_floating_point() else value
        )
    stored = torch.load(tmp_path / "person.pt", weights_only=False)
    assert next(stored["model"].parameters()).dtype == torch.float16
    assert [path.name for path in tmp_path.iterdir()] == ["person.pt"]


def test_written_network_is_the_same_each_time_and_tells_nothing_of_its_maker(network: Any, tmp_path: Path) -> None:
    one = only_person(network)
    one.pt_path = str(tmp_path / "secret-folder.pt")
    first, second = tmp_path / "a" / "person.pt", tmp_path / "b" / "person.pt"
    for path in (first, second):
        yolo.write_network(one, path, "a test")
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        content = b"".join(archive.read(name) for name in archive.namelist() if name.split("/")[1] != "data")
    for private in (str(tmp_path), str(Path.cwd()), str(Path.home()), "secret-folder", "date"):
        assert private.encode() not in content, private
    assert f"/{getpass.getuser()}/".encode() not in content


@pytest.mark.parametrize("content", [b"no network", None])
def test_read_network_of_something_else_is_refused(quiet: Path, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "person.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"person\.pt"):
        yolo.read_network(path)


def test_read_network_of_other_pickles_is_refused(quiet: Path, tmp_path: Path) -> None:
    import torch

    torch.save({"model": torch.nn.Linear(2, 2)}, tmp_path / "linear.pt")
    with pytest.raises(TrainingError, match="no detection network"):
        yolo.read_network(tmp_path / "linear.pt")


@pytest.mark.parametrize("wrong", [{"image_size": 100}, {"epochs": 0}, {"learning_rate": -1.0}])
def test_fine_tuning_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(TrainingError):
        yolo.FineTuning(**wrong)


def test_fine_tune_moves_head_only_and_keeps_statistics(network: Any, pictures: Path, tmp_path: Path) -> None:
    start = only_person(network)
    lines: list[str] = []
    tuned = yolo.fine_tune(start, pictures, tmp_path / "run", yolo.FineTuning(epochs=1, **TINY), lines.append)
    assert len(lines) == 1
    assert lines[0].startswith("epoch 1 of 1: box_loss")
    before, after = start.state_dict(), tuned.state_dict()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert any(".cv3." in name for name in changed)
    layers = {int(name.split(".")[1]) for name in changed}
    assert min(layers) > 10
    assert not [name for name in changed if "running" in name]


def test_fine_tune_interrupted_goes_on_with_its_epoch(network: Any, pictures: Path, tmp_path: Path) -> None:
    start, config = only_person(network), yolo.FineTuning(epochs=3, **TINY)
    lines: list[str] = []

    def interrupt(line: str) -> None:
        lines.append(line)
        if line.startswith("epoch 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        yolo.fine_tune(start, pictures, tmp_path / "run", config, interrupt)
    yolo.fine_tune(start, pictures, tmp_path / "run", config, lines.append)
    assert [line.split(":")[0] for line in lines] == [f"epoch {epoch} of 3" for epoch in (1, 2, 2, 3)]
    again: list[str] = []
    yolo.fine_tune(start, pictures, tmp_path / "run", config, again.append)
    assert again == []
