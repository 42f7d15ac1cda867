"""Which folder holds which class: one folder a name, one name a folder, kept in ``folders.json`` beside the folders.

File systems refuse characters that people use in names, and what is left of two names may be the same: ``Kick (left)``
and ``Kick left``, 🥊 and 🤸. The second gets a number, and the file says what each folder stands for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from models.data.class_names import same_class
from models.errors import DatasetError
from pipeline.files import write_atomically

FOLDERS_FILE = "folders.json"
_LONGEST = 200  # bytes: file systems take 255, and something may be put before or behind
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))})


class FolderNames:
    """``folder_of`` a class, ``name_of`` a folder; ``save`` what was added. ``plain``: a name as one for a folder.

    ``before``: folders in use without a file that says so → their class. ``reserved``: those that no class may have,
    unless the file says so. Raises DatasetError for a damaged file.
    """

    def __init__(
        self,
        root: Path,
        plain: Callable[[str], str],
        before: Mapping[str, str] | None = None,
        reserved: Collection[str] = (),
    ) -> None:
        self._reserved = {folder.casefold() for folder in reserved}
        self._path = root / FOLDERS_FILE
        self._plain = plain
        self._names = _read(self._path)
        used = {folder.casefold() for folder in self._names}
        known = set(self._names.values())
        for folder, name in (before or {}).items():
            if folder.casefold() not in used and name not in known:
                self._names[folder] = name
                known.add(name)
        self._folders = {name: folder for folder, name in self._names.items()}

    @classmethod
    def with_clips(cls, root: Path, plain: Callable[[str], str], clips: Iterable[tuple[str, str]]) -> FolderNames:
        """For clips that lie there: the folder and class of each. A folder in which classes met belongs to none."""
        held: dict[str, set[str]] = {}
        for folder, name in clips:
            held.setdefault(folder, set()).add(name)
        alone = {folder: next(iter(names)) for folder, names in held.items() if len(names) == 1}
        return cls(root, plain, alone, held.keys() - alone.keys())

    def folder_of(self, name: str) -> str:
        """The folder of a class, a new one where it has none yet."""
        if name not in self._folders:
            used = {folder.casefold() for folder in self._names} | self._reserved
            folder = _free(_short(self._plain(name)), used)
            self._names[folder], self._folders[name] = name, folder
        return self._folders[name]

    def name_of(self, folder: str, names: Iterable[str] = ()) -> str:
        """What a folder stands for: by the file, else the one of ``names`` that it can mean, else its own name.

        Raises DatasetError where it can mean several of them.
        """
        if folder in self._names:
            return self._names[folder]
        names = set(names)
        if folder in names:
            return folder
        alike = sorted(name for name in names if folder == self._plain(name) or same_class(folder) == same_class(name))
        if len(alike) > 1:
            raise DatasetError(
                f"{self._path.parent / folder} may stand for {' or '.join(map(repr, alike))}: say which in {self._path}"
            )
        return alike[0] if alike else folder

    def save(self) -> None:
        """Write the file where there is anything to say. Raises OSError."""
        if self._names and _read(self._path) != self._names:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, json.dumps(self._names, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


def _read(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    texts = isinstance(content, dict) and all(isinstance(name, str) and name for name in content.values())
    if not texts or len(set(content.values())) < len(content):
        raise DatasetError(f"{path}: expected {{folder: class, …}}, each class once, got {json.dumps(content)[:200]}")
    return dict(content)


def _short(name: str) -> str:
    """No more than file systems take, and no name that Windows keeps for itself."""
    cut = name.encode()[:_LONGEST].decode("utf-8", "ignore").rstrip(" .") or "_"
    return f"{cut}_" if cut.partition(".")[0].casefold() in _RESERVED else cut


def _free(name: str, used: set[str]) -> str:
    number, candidate = 1, name
    while candidate.casefold() in used:
        number += 1
        candidate = f"{name}-{number}"
    return candidate
