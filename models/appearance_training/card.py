"""What ``weights/appearance`` says about itself: ``card.json`` beside ``appearance.xml`` and ``appearance.bin``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.weights.cards import APPEARANCE_KIND, CARD_FILE, check_named, check_networks, parsed
from pipeline.files import write_atomically

NETWORK_FILES = ("appearance.xml", "appearance.bin")


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AppearanceFigures(_Value):
    """On crops of videos kept out of training, shrunk to people ``height_px`` tall: the share whose nearest crop in
    another frame of the video is the same track's; mean cosine of two crops of a track, and of two people in a frame.
    """

    height_px: int = Field(ge=8)
    right: float = Field(ge=0, le=1)
    same: float = Field(ge=-1, le=1)
    other: float = Field(ge=-1, le=1)
    crops: int = Field(ge=1)


class AppearanceCard(_Value):
    """The facts about one appearance network. ``metrics``: its own, ``start_metrics``: untrained at its input size,
    ``teacher_metrics``: the teacher at its own.
    """

    format_version: Literal[1] = 1
    name: str = Field(min_length=1)
    kind: Literal["appearance"] = APPEARANCE_KIND
    architecture: str = Field(min_length=1)
    height: int = Field(ge=32)
    width: int = Field(ge=16)
    dimension: int = Field(ge=8)
    data: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    provenance: str = Field(min_length=1)
    command: str = Field(min_length=1)
    seed: int
    metrics: AppearanceFigures
    start_metrics: AppearanceFigures
    teacher_metrics: AppearanceFigures
    limits: str = Field(min_length=1)
    sha256: Mapping[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]


def write_appearance_card(card: AppearanceCard, folder: Path) -> None:
    write_atomically(folder / CARD_FILE, card.model_dump_json(indent=2) + "\n")


def read_appearance_card(folder: Path) -> AppearanceCard:
    """Read ``card.json`` and compare the network with it. Raises CardError, or ChecksumError for another network."""
    card = parsed(folder / CARD_FILE, AppearanceCard)
    check_named(folder / CARD_FILE, card.sha256, NETWORK_FILES)
    check_networks(folder, card.sha256)
    return card
