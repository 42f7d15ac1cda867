"""Which version of a model serves: ``<data folder>/models/<alias>.json``, written whole or not at all.

The file is the truth for every process and command, and the one step of a promotion that counts: killed before it is
written, the former version serves after the next start; killed after it, the new one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.files import write_atomically
from service.versions.names import VersionName, is_pinned

if TYPE_CHECKING:
    from service.settings import Settings

log = logging.getLogger(__name__)

FOLDER = "models"
CARD = "card.json"  # without it a folder is no version
MAX_HISTORY = 200  # changes that are remembered, the newest


@dataclass(frozen=True, slots=True)
class VersionChange:
    """One change of what serves. ``what``: promoted, rolled_back, automatic (a roll-back that nobody asked for) or
    failed (nothing changed). ``forecast``: alerts a day that shadowing foretold; ``at``: Unix time.
    """

    what: str
    version: str
    before: str
    at: float
    by: str
    reason: str
    forced: bool = False
    forecast: float | None = None


@dataclass(frozen=True, slots=True)
class Pointer:
    """What serves under an alias, what is tried beside it since when, and how it came so, oldest first."""

    alias: str
    serving: str
    shadow: str | None = None
    shadow_since: float | None = None
    history: tuple[VersionChange, ...] = field(default=())

    def with_change(self, change: VersionChange) -> Pointer:
        """→ the same with one more change, which counts unless it failed. It ends what is tried: that was compared with
        the version before.
        """
        history = (*self.history, change)[-MAX_HISTORY:]
        if change.what == "failed":
            return replace(self, history=history)
        return Pointer(self.alias, change.version, history=history)

    def newest(self) -> VersionChange | None:
        """→ the last change that counted; None: there was none."""
        return next((each for each in reversed(self.history) if each.what != "failed"), None)

    def former(self) -> Iterator[str]:
        """→ versions that served before, the last one first, each once."""
        seen = {self.serving}
        for change in reversed(self.history):
            for version in (change.version, change.before) if change.what != "failed" else ():
                if version not in seen:
                    seen.add(version)
                    yield version

    def before(self) -> str | None:
        """→ the version that a roll-back goes to: what served before the one that serves now came; None: there is none.

        A version that was rolled back from is not gone back to.
        """
        left = {self.serving}
        for change in reversed(self.history):
            if change.what == "promoted" and change.version in left:
                if change.before not in left:
                    return change.before
            elif change.what in ("rolled_back", "automatic"):
                left.add(change.before)
        return None


class Pointers:
    """The files of all aliases. Reading one that is missing or broken → the first version serves."""

    def __init__(self, data_dir: Path, weights_dir: Path) -> None:
        self._folder = data_dir / FOLDER
        self._weights_dir = weights_dir

    @classmethod
    def of(cls, settings: Settings) -> Pointers:
        return cls(settings.data_dir, settings.weights_dir)

    def read(self, alias: str) -> Pointer:
        path = self._path(alias)
        try:
            return _pointer(alias, json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.error("%s cannot be read, the first version of %s serves: %s", path, alias, error)
        return Pointer(alias, alias)

    def write(self, pointer: Pointer) -> None:
        """Raises OSError, and the old content stays."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path(pointer.alias), json.dumps(asdict(pointer), indent=1) + "\n")

    def text(self, alias: str) -> str:
        """→ what its file holds, for another machine."""
        return json.dumps(asdict(self.read(alias)))

    def take_over(self, alias: str, text: str) -> None:
        """Writes what another machine's file holds. Raises ValueError for what is no pointer, OSError."""
        try:
            pointer = _pointer(alias, json.loads(text))
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"expected the pointer of {alias}, got something else: {error}") from error
        if pointer != self.read(alias):
            self.write(pointer)

    def serving(self, name: str) -> str:
        """A stream's or a command's model → the folder in the weights folder that answers for it now.

        A version whose folder is gone does not blind the cameras: the one before it serves.
        """
        if "/" in name:  # a command's folder
            return name
        if is_pinned(name):
            return str(VersionName.parse(name))
        pointer = self.read(name)
        for each in (pointer.serving, *pointer.former()):
            if (self._weights_dir / each / CARD).is_file():
                if each != pointer.serving:
                    log.error("%s serves for %s: there is no folder of %s", each, name, pointer.serving)
                return each
        return name

    def aliases(self) -> list[str]:
        """→ those of which something was ever changed."""
        return sorted(path.name.removesuffix(".json") for path in self._folder.glob("*.json"))

    def shadows(self) -> dict[str, str]:
        """→ alias → the version tried beside what serves."""
        pointers = (self.read(alias) for alias in self.aliases())
        return {pointer.alias: pointer.shadow for pointer in pointers if pointer.shadow is not None}

    def _path(self, alias: str) -> Path:
        return self._folder / f"{alias}.json"


def _pointer(alias: str, content: Mapping[str, Any]) -> Pointer:
    history = tuple(VersionChange(**change) for change in content["history"])
    serving, shadow = str(content["serving"]), content["shadow"]
    for version in (serving, *([] if shadow is None else [shadow])):
        if VersionName.parse(version).alias != alias:
            raise ValueError(f"expected a version of {alias}, got {version!r}")
    return Pointer(alias, serving, shadow, content["shadow_since"], history)
