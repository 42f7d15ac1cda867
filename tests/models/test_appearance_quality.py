"""What ships in ``weights/appearance`` is what its card says, small, and better than its start was untrained."""

from __future__ import annotations

from models.appearance_training.card import AppearanceCard, read_appearance_card
from pipeline.appearance import AppearanceConfig, AppearanceEncoder, resolve_appearance
from tests.support.places import REPOSITORY

FOLDER = REPOSITORY / "weights" / "appearance"
LARGEST_BYTES = 3_000_000


def card() -> AppearanceCard:
    return read_appearance_card(FOLDER)


def test_shipped_network_is_the_default_small_and_as_its_card_says() -> None:
    assert resolve_appearance(REPOSITORY / "weights") == FOLDER / "appearance.xml"
    assert sum((FOLDER / name).stat().st_size for name in card().sha256) <= LARGEST_BYTES
    encoder = AppearanceEncoder.load(None, AppearanceConfig(weights_dir=REPOSITORY / "weights"))
    assert encoder.dimension == card().dimension


def test_shipped_network_tells_people_apart_better_than_its_start() -> None:
    told, start = card().metrics, card().start_metrics
    assert told.right >= start.right
    assert told.same - told.other > 0.3
    assert told.crops == start.crops == card().teacher_metrics.crops


def test_card_tells_nothing_of_the_machine() -> None:
    assert "/work" not in (FOLDER / "card.json").read_text()
    assert "/tmp" not in (FOLDER / "appearance.xml").read_text()
