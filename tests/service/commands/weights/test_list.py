from __future__ import annotations

from pathlib import Path

from models.weights.cards import CARD_FILE, LABELS_FILE, MODEL_FILE, ModelCard, ModelInput
from pipeline.files import file_sha256
from tests.service.commands.command_line import run


def test_weights_list_names_what_is_there(tmp_path: Path):
    folder = tmp_path / "weights" / "small"
    folder.mkdir(parents=True)
    (folder / LABELS_FILE).write_text("walking\nrunning\n")
    (folder / MODEL_FILE).write_bytes(b"not looked into by a list")
    card = ModelCard(
        name="small",
        kind="se_i3d",
        num_classes=2,
        input=ModelInput(),
        provenance="made by a test",
        licence="none",
        sha256={name: file_sha256(folder / name) for name in (LABELS_FILE, MODEL_FILE)},
        folder=folder,
    )
    (folder / CARD_FILE).write_text(card.model_dump_json())
    status, out, err = run(tmp_path, "weights", "list", WEIGHTS_DIR=str(tmp_path / "weights"))
    assert (status, out, err) == (0, "small\t2 labels\tse_i3d\n", "")


def test_weights_list_of_an_empty_folder_says_how_to_get_some(tmp_path: Path):
    status, out, err = run(tmp_path, "weights", "list", WEIGHTS_DIR=str(tmp_path / "none"))
    assert (status, out) == (0, "")
    assert "actoscope weights pull i3d-kinetics400" in err
