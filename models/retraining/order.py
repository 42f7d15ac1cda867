"""What is asked of one retraining, as a value and as a file: known to whoever starts one, without a network library."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

READING, JUDGING, PUBLISHING = "reading corrections", "judging", "publishing"  # what phases' words begin with
_PATHS = ("corrections", "weights", "run", "cache", "base")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made. ``parent``: a version's name. ``weights``: the directory of weights folders. ``run``: folder
    of this run alone. ``used``: labels that rules and streams name, with their names.
    """

    parent: str
    corrections: Path
    weights: Path
    run: Path
    cache: Path
    configuration: str = "quick"
    base: Path | None = None
    used: Mapping[str, Sequence[str]] = field(default_factory=dict)
    force_count: bool = False
    command: str = "actoscope retrain"


def write_order(order: Order, path: Path) -> None:
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(order).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain), "utf-8")


def read_order(path: Path) -> Order:
    """Raises OSError, ValueError, TypeError or KeyError for a file that is none."""
    plain = json.loads(path.read_bytes())
    paths = {name: Path(plain[name]) for name in _PATHS if plain[name] is not None}
    return Order(**{**plain, **paths})
