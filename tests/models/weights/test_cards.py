from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import CardError
from models.weights.cards import ModelCard, ModelInput, list_models, read_card, verify
from pipeline.actions import Evidence
from pipeline.files import file_sha256

LABELS = ("Walking", "Standing")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A weights folder with every file, whose model is three bytes."""
    folder = tmp_path / "weights" / "small"
    folder.mkdir(parents=True)
    (folder / "model.keras").write_bytes(b"net")
    (folder / "labels.txt").write_text("\n".join(LABELS), "utf-8")
    sums = {name: file_sha256(folder / name) for name in ("model.keras", "labels.txt")}
    card = ModelCard(name="small", kind="se_i3d", num_classes=2, provenance="a test", licence="none", sha256=sums)
    (folder / "card.json").write_text(card.model_dump_json(), "utf-8")
    return folder


def test_read_card_gives_back_what_was_written(folder: Path) -> None:
    card = read_card(folder)
    assert (card.name, card.kind, card.labels, card.folder) == ("small", "se_i3d", LABELS, folder)
    assert card.clip_shape == (64, 224, 224, 3)
    assert (card.input.rate_hz, card.input.margin, card.input.value_range) == (25.0, 0.2, (-1.0, 1.0))
    verify(card)


def test_card_names_a_lighter_network_or_none(folder: Path) -> None:
    assert read_card(folder).light == ""
    edited(lambda d: d.update(light="small-light"))(folder)
    assert read_card(folder).light == "small-light"


def test_card_says_what_evidence_a_label_needs(folder: Path) -> None:
    assert read_card(folder).evidence == {}
    edited(lambda d: d.update(evidence={"Walking": {"on": 0.8, "clips": 2}}))(folder)
    card = read_card(folder)
    assert card.evidence == {"Walking": Evidence(on=0.8, clips=2)}
    assert ModelCard.model_validate_json(card.model_dump_json()).evidence == card.evidence


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        data = json.loads((folder / "card.json").read_text("utf-8"))
        change(data)
        (folder / "card.json").write_text(json.dumps(data), "utf-8")

    return edit


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "card.json").unlink(), r"card\.json does not exist.*weights pull"),
        (lambda f: (f / "card.json").write_text("{", "utf-8"), r"card\.json: the file: Invalid JSON"),
        (lambda f: (f / "card.json").write_bytes(b"\xff\xfe"), r"card\.json cannot be read"),
        (lambda f: (f / "card.json").write_text("[1]", "utf-8"), r"card\.json: the file"),
        (edited(lambda d: d.pop("kind")), "kind: Field required"),
        (edited(lambda d: d.update(format_version=2)), "format_version: Input should be 1"),
        (edited(lambda d: d.update(colour="blue")), "colour: Extra inputs"),
        (edited(lambda d: d["input"].update(frames=0)), r"input\.frames"),
        (edited(lambda d: d["sha256"].update({"labels.txt": "abc"})), r"sha256\.labels\.txt"),
        (edited(lambda d: d["sha256"].pop("model.keras")), r"names no model\.keras"),
        (edited(lambda d: d.update(evidence={"Running": {}})), "evidence: the network has no label Running"),
        (edited(lambda d: d.update(evidence={"Walking": {"on": 2}})), "on must be above 0"),
        (edited(lambda d: d.update(num_classes=3)), r"labels\.txt has 2 labels, the network has 3 classes"),
        (lambda f: (f / "labels.txt").unlink(), r"labels\.txt cannot be read"),
        (lambda f: (f / "labels.txt").write_text("Walking\nWalking\n", "utf-8"), "repeats Walking"),
    ],
)
def test_read_card_of_a_broken_folder_says_what_is_wrong(
    folder: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(folder)
    with pytest.raises(CardError, match=message):
        read_card(folder)


def test_verify_names_the_changed_file_with_both_checksums(folder: Path) -> None:
    card = read_card(folder)
    (folder / "model.keras").write_bytes(b"not")
    with pytest.raises(CardError, match=rf"model\.keras is damaged.*expects {card.sha256['model.keras']}"):
        verify(card)
    (folder / "model.keras").unlink()
    with pytest.raises(CardError, match=r"model\.keras is missing"):
        verify(card)


def test_verify_does_not_follow_the_card_out_of_its_folder(folder: Path) -> None:
    edited(lambda d: d["sha256"].update({"../secret": "0" * 64}))(folder)
    with pytest.raises(CardError, match="no plain file name"):
        verify(read_card(folder))


def test_list_models_leaves_out_broken_folders_and_says_so(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = folder.parent
    shutil.copytree(folder, root / "broken")
    (root / "broken" / "labels.txt").unlink()
    (root / "empty").mkdir()
    shutil.copytree(folder, root / ".pull-1")
    with caplog.at_level(logging.WARNING):
        assert [card.name for card in list_models(root)] == ["small"]
    assert "broken" in caplog.text
    assert list_models(root / "nowhere") == []


def test_clip_config_is_what_the_network_was_trained_on() -> None:
    config = ModelInput(frames=16, height=112, width=112, rate_hz=12.5, margin=0.6).clip_config(
        hop=8, provisional_from=24
    )
    assert (config.length, config.size, config.rate_hz, config.margin, config.hop) == (16, 112, 12.5, 0.6, 8)
    assert config.provisional_from == 16
    with pytest.raises(CardError, match="112 × 224"):
        ModelInput(height=112).clip_config(hop=8)


def test_clip_config_of_a_network_for_scenes_asks_for_whole_pictures_of_any_shape() -> None:
    config = ModelInput(kind="scene", frames=16, height=112, width=200, rate_hz=12.5).clip_config(
        hop=8, provisional_from=24
    )
    assert (config.length, config.scene_hw, config.rate_hz, config.provisional_from) == (16, (112, 200), 12.5, 16)
    assert ModelInput().clip_config(hop=8).scene_hw is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from([*ModelCard.model_fields, *ModelInput.model_fields])


@given(
    st.dictionaries(FIELDS | st.text(max_size=5), VALUES, max_size=8),
    st.binary(max_size=60) | st.sampled_from([b"a\nb\n", b"\xff\xfe", b"a\na\n"]),
)
def test_read_of_any_card_gives_a_card_or_a_card_error(changes: dict[str, Any], labels: bytes) -> None:
    whole = {
        "name": "m",
        "kind": "se_i3d",
        "num_classes": 2,
        "provenance": "p",
        "licence": "l",
        "sha256": {"labels.txt": "0" * 64, "model.keras": "0" * 64},
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "labels.txt").write_bytes(labels)
        for content in (json.dumps({**whole, **changes}), json.dumps(changes), json.dumps(list(changes.items()))):
            (Path(folder) / "card.json").write_text(content, "utf-8", "surrogatepass")
            try:
                card = read_card(Path(folder))
            except CardError as error:
                assert "card.json" in str(error) or "labels.txt" in str(error)
            else:
                assert len(card.labels) == card.num_classes


@given(st.binary(max_size=120))
def test_read_of_any_bytes_as_a_card_gives_a_card_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "card.json").write_bytes(content)
        with pytest.raises(CardError, match=r"card\.json"):
            read_card(Path(folder))
        (Path(folder) / "inner").mkdir()
        (Path(folder) / "inner" / "card.json").write_bytes(content)
        assert list_models(Path(folder)) == []


@pytest.mark.parametrize("field", ["name", "kind", "provenance", "licence"])
def test_card_with_nothing_but_blanks_in_a_field_is_refused(folder: Path, field: str) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, field: " \u00a0"}))
    with pytest.raises(CardError, match=rf"card\.json: {field}"):
        read_card(folder)
