"""``actoscope train`` on whole scenes of a real video: learning who is who, going on after a stop, refusals."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.classifier import ActionClassifier
from models.data.tracks.scene_examples import scene_examples
from models.runtimes.runner import Precision
from models.training.config import load_config
from models.weights.cards import MODEL_FILE, read_card, verify
from service.cli import main
from service.commands.exit_status import EXIT_FAILED, EXIT_INTERRUPTED
from service.commands.progress import ProgressBar
from tests.models.data.scene_work import SHAPE, make_scene_work, rows
from tests.models.training_runs import make_dataset

CONFIG = """
from models.data.batches.clip_window import WindowConfig
from models.training.config import *

CONFIG = TrainConfig(
    name="tiny",
    network=NetworkConfig(
        "action_transformer",
        init="",
        options={"units": 16, "roi": 2, "layers": 1, "heads": 1, "dropout": 0.0},
    ),
    transfer=SCENE_FEATURES,
    input=ClipInput(window=WindowConfig(9, speed=2.5), size=32, hop=4, augment=None),
    optimizer=OptimizerConfig(learning_rate=3e-3),
    epochs=6,
    batch_size=4,
    seed=1,
    card=CardText(licence="none"),
)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    make_scene_work(folder / "work")
    (folder / "tiny.py").write_text(CONFIG)
    return folder


def train(folder: Path, name: str, *words: str, config: str = "tiny.py", data: str = "work") -> int:
    places = ["--output", str(folder / "weights" / name), "--run-folder", str(folder / "runs" / name)]
    cache = ["--cache", str(folder / "features")]
    return main(["train", str(folder / config), "--data", str(folder / data), "--quiet", *places, *cache, *words])


def curve(folder: Path, name: str) -> list[dict[str, float]]:
    with (folder / "runs" / name / "final" / "log.csv").open() as stream:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    """The tiny training, once: its weights folder."""
    assert train(folder, "straight") == 0
    return folder / "weights" / "straight"


@pytest.mark.slow
def test_train_learns_who_is_who_in_a_scene_and_writes_a_folder_that_classifies(folder: Path, trained: Path) -> None:
    card = read_card(trained)
    verify(card)
    assert (card.kind, card.input, card.labels) == ("action_transformer", SHAPE, ("standing", "walking"))
    assert (card.licence, card.provenance, card.seed) == ("none", "trained from random weights", 1)
    assert card.command == "actoscope train tiny.py --data work"
    assert card.metrics["val_accuracy"] == 1.0
    losses = [row["loss"] for row in curve(folder, "straight")]
    assert losses[-1] < losses[0] / 2
    classifier = ActionClassifier.load(trained, "tensorflow", precision=Precision.F32)
    examples = list(scene_examples(folder / "work", rows(), SHAPE, hop=4))
    shown = [example for example in examples if example.pictures is examples[-1].pictures]
    assert len(shown) == 2
    found = classifier.predict(shown[0].stack()[None], np.stack([example.box for example in shown]))
    assert [classifier.labels[index] for index in found.argmax(-1)] == [example.label for example in shown]


@pytest.mark.slow
def test_people_of_one_scene_share_the_features_of_its_trunk(folder: Path, trained: Path) -> None:
    clips = {example.frame for example in scene_examples(folder / "work", rows(), SHAPE, hop=4)}
    files = list((folder / "features").glob("scene-Mixed_4f-*/street-*.npy"))
    assert len(files) == len(clips) == 9
    assert {np.load(file).shape for file in files} == {(3, 2, 2, 832)}


@pytest.mark.slow
@pytest.mark.exhaustive
def test_training_on_scenes_that_was_stopped_goes_on_along_the_same_curve(
    folder: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def stop(_bar: ProgressBar, text: object) -> None:
        lines.append(str(text))
        if len(lines) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "say", stop)
        assert train(folder, "stopped") == EXIT_INTERRUPTED
    assert len(curve(folder, "stopped")) == 3
    assert train(folder, "stopped") == EXIT_FAILED, "only --resume goes on"
    assert train(folder, "stopped", "--resume") == 0
    for resumed, straight in zip(curve(folder, "stopped"), curve(folder, "straight"), strict=True):
        assert resumed == pytest.approx(straight, rel=1e-3, abs=1e-6)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_scene_network_trains_end_to_end_from_its_own_weights_folder(folder: Path, trained: Path) -> None:
    """… on pictures, from a layer of the trunk on; what lies before it stays."""
    text = CONFIG.replace('init=""', f"init={str(trained)!r}").replace("epochs=6", "epochs=1")
    text = text.replace("SCENE_FEATURES", "TransferConfig(cache_at='', unfreeze=(Unfreeze(0, 'Mixed_4f'),))")
    (folder / "fine.py").write_text(text.replace("3e-3", "1e-4"))
    assert train(folder, "fine", config="fine.py") == 0
    old, new = (
        keras.saving.load_model(folder / "weights" / name / MODEL_FILE, compile=False) for name in ("straight", "fine")
    )
    changed = {
        layer.name
        for layer, other in zip(old.layers, new.layers, strict=True)
        if any(not np.array_equal(a, b) for a, b in zip(layer.get_weights(), other.get_weights(), strict=True))
    }
    assert "Mixed_4f" in changed and "Logits" in changed
    assert not {name for name in changed if name.startswith(("Conv3d", "Mixed_3", "Mixed_4b", "Mixed_4e"))}
    assert read_card(folder / "weights" / "fine").metrics["val_accuracy"] == 1.0


def test_data_of_the_wrong_kind_says_what_was_expected_and_what_came(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_dataset(folder / "crops", clips=3)
    assert train(folder, "wrong", data="crops") == EXIT_FAILED
    text = capsys.readouterr().err
    assert "action_transformer reads whole scenes: expected a working folder" in text
    assert f"got {folder / 'crops'}, a data set of crops" in text
    (folder / "crops.py").write_text("from models.training.config import *\nCONFIG = TrainConfig(name='crops')\n")
    assert train(folder, "wrong", config="crops.py") == EXIT_FAILED
    text = capsys.readouterr().err
    assert "se_i3d reads crops: expected a data set" in text
    assert f"got {folder / 'work'}, a working folder (is {folder / 'work' / 'dataset'} what you mean?)" in text
    assert train(folder, "wrong", data="nowhere") == EXIT_FAILED
    assert "no extracted video in" in capsys.readouterr().err
    assert not (folder / "runs" / "wrong").exists()


def test_everything_that_is_wrong_is_told_before_a_scene_is_cut(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = CONFIG.replace("augment=None", "width=16").replace("epochs=6", "epochs=6, mixup=0.2, mode=Mode.FLOW")
    (folder / "many.py").write_text(text.replace('init=""', "init='nothing-there', hidden=3"))
    cache = folder / "not-made"
    assert train(folder, "wrong", "--cache", str(cache), config="many.py") == EXIT_FAILED
    found = capsys.readouterr().err
    for problem in (
        "input.augment is for crops",
        "mixup is for crops",
        "mode flow is for I3D",
        "network.hidden is for I3D",
        "there are no weights to start from in",
        "input.window.length and input.size are not what a model's card may say",
    ):
        assert problem in found
    assert not cache.exists()
    text = CONFIG.replace("SCENE_FEATURES", "TransferConfig(cache_at='Roi', unfreeze=(Unfreeze(0, 'Query'),))")
    (folder / "late.py").write_text(text)
    assert train(folder, "wrong", config="late.py") == EXIT_FAILED
    assert "action_transformer caches in its trunk (Conv3d_1a_7x7, " in capsys.readouterr().err


def test_a_table_without_val_says_which_column_makes_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(folder / "work", folder / "undecided")
    table = folder / "undecided" / "labels.csv"
    table.write_text(table.read_text().replace(",val", ","))
    assert train(folder, "wrong", data="undecided") == EXIT_FAILED
    assert (
        "has no clip in the split val (the column split of the working folder's labels.csv" in capsys.readouterr().err
    )


def test_other_examples_make_another_training(folder: Path) -> None:
    """Fields that ``repr`` leaves out still count."""
    from dataclasses import replace

    from models.training.run.loop import Splits, training_key

    class Nothing:
        targets = (0, 1)

    config, splits = load_config(folder / "tiny.py"), Splits(Nothing(), None, None)  # type: ignore[arg-type]
    changes: list[dict[str, Any]] = [{}, {"hop": 8}, {"width": 64}]
    keys = {training_key(replace(config, input=replace(config.input, **changed)), splits) for changed in changes}
    assert len(keys) == 3
