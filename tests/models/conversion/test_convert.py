"""What a conversion depends on, and what is said when its child fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from models.conversion import convert as conversion
from models.conversion.convert import cache_key, convert
from models.conversion.formats import FORMATS
from models.errors import CardError, ExportError
from models.weights.cards import ModelCard, read_card
from models.weights.export_record import ExportFormat
from pipeline.errors import ChildError
from tests.models.small_network import SMALL_CLIP, small_folder

SHAPE = (*SMALL_CLIP, 3)
SAVEDMODEL = FORMATS[ExportFormat.SAVEDMODEL]


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    return read_card(small_folder(tmp_path_factory.mktemp("weights") / "small"))


def test_cache_key_follows_network_clip_and_packages(card: ModelCard, tmp_path: Path) -> None:
    keys = {cache_key(card, SHAPE, ("keras",)), cache_key(card, (16, 32, 32, 3), ("keras",))}
    keys.add(cache_key(card, SHAPE, ("keras", "numpy")))
    keys.add(cache_key(card, SHAPE, ("keras", "not-installed-anywhere")))
    assert len(keys) == 4
    with pytest.raises(CardError, match=r"model\.keras is missing"):
        cache_key(card.model_copy(update={"folder": tmp_path}), SHAPE, ())


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            ChildError("", "loading\nValueError: no such operation\n", 1),
            "exported to savedmodel: ValueError: no such op",
        ),
        (ChildError("", "", -9), "cannot be exported to savedmodel: exit status -9"),
        (ChildError("", "loading\n", -9, timed_out=True), "exporting small to savedmodel took more than 900 s"),
        (None, "cannot be exported to savedmodel: the converter wrote nothing"),
    ],
)
def test_convert_that_fails_tells_the_converters_words(
    error: ChildError | None, says: str, card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def child(arguments: Sequence[str], **_: object) -> str:
        assert arguments[:2] == ["-m", "models.conversion.child"]
        if error is not None:
            raise error
        return ""

    monkeypatch.setattr(conversion, "run_python", child)
    with pytest.raises(ExportError, match=says):
        convert(SAVEDMODEL, "f32", card, SHAPE, tmp_path / "saved_model")
