"""``motion.json`` of a weights folder: the small regression that speaks beside its network (``pipeline.motion_voice``).

The card names it among its checksums; a folder without one has a network that speaks alone.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import CardError, ChecksumError
from models.weights.cards import CARD_FILE, ModelCard, check_networks
from pipeline.files import file_sha256, write_atomically
from pipeline.motion_voice import MotionHead

MOTION_FILE = "motion.json"
_LOG = logging.getLogger(__name__)
Row = Annotated[tuple[float, ...], Field(min_length=1)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    labels: tuple[str, ...]
    means: Row
    scales: Row
    coefficients: tuple[Row, ...]
    intercepts: Row
    share: float
    temperature: float


def read_motion_head(card: ModelCard) -> MotionHead | None:
    """→ the head beside the card's network, None where its card names none. Raises CardError, ChecksumError."""
    if MOTION_FILE not in card.sha256:
        return None
    check_networks(card.folder, {MOTION_FILE: card.sha256[MOTION_FILE]})
    path = card.folder / MOTION_FILE
    try:
        head = MotionHead(**_Form.model_validate_json(path.read_bytes()).model_dump())
    except (OSError, ValidationError, ValueError) as error:
        raise CardError(f"{path} cannot be read: {error}") from error
    if head.labels != card.labels:
        raise CardError(f"{path} knows the labels {', '.join(head.labels)}, the network {', '.join(card.labels)}")
    return head


def motion_heads(card: ModelCard) -> dict[str, MotionHead]:
    """→ the head of the card's network by the name of its folder; one that is damaged is logged and left out."""
    try:
        head = read_motion_head(card)
    except (CardError, ChecksumError) as error:
        _LOG.warning("%s speaks without the motion of boxes: %s", card.name, error)
        return {}
    return {} if head is None else {card.folder.name: head}


def write_motion_head(folder: Path, head: MotionHead) -> None:
    """Write ``motion.json`` and its checksum on the card. Raises CardError where the card cannot be changed."""
    content = _Form(**asdict(head)).model_dump()
    write_atomically(folder / MOTION_FILE, json.dumps(content) + "\n")
    path = folder / CARD_FILE
    try:
        card = json.loads(path.read_text("utf-8"))
        card["sha256"] = {**card["sha256"], MOTION_FILE: file_sha256(folder / MOTION_FILE)}
        ModelCard.model_validate(card)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CardError(f"{path}: the checksum of {MOTION_FILE} cannot be written: {error}") from error
    write_atomically(path, json.dumps(card, indent=2, ensure_ascii=False) + "\n")
