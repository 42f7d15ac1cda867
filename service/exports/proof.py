"""What proves that a case is as it was made: a manifest with the SHA-256 of every file, and how it is verified."""

from __future__ import annotations

import hashlib
import json
import lzma
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from service.errors_base import ServiceError

MANIFEST, SUMS, README = "manifest.json", "SHA256SUMS", "README.txt"
FORMAT, VERSION = "actoscope-case", 1
_BLOCK = 1 << 20
_MOST_BYTES = 64 << 20  # of a manifest
# What zipfile raises where bytes are other ones: a RuntimeError where they say that a file is encrypted.
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a case."""

    name: str
    bytes: int
    sha256: str


class NoCase(ServiceError, ValueError):
    """The file is no case, or not one that can be read."""


@dataclass(frozen=True, slots=True)
class CaseVerdict:
    """What a look at a whole case found. ``problems``: a sentence for each thing that is not as it was made."""

    manifest: dict[str, Any]
    files: int
    problems: Sequence[str]


def sums_text(files: Sequence[FileEntry]) -> bytes:
    """As ``sha256sum -c`` reads it."""
    return "".join(f"{each.sha256}  {each.name}\n" for each in files).encode("utf-8")


def verify_case(path: Path) -> CaseVerdict:
    """Reads every file of a case. Raises NoCase, and OSError where the disk fails."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest_text = _read(archive, MANIFEST)
            manifest = _parsed(manifest_text)
            files = [
                FileEntry(str(each["name"]), int(each["bytes"]), str(each["sha256"])) for each in manifest["files"]
            ]
            own = FileEntry(MANIFEST, len(manifest_text), hashlib.sha256(manifest_text).hexdigest())
            return CaseVerdict(manifest, len(files), [*_names(archive, files), *_contents(archive, files, own)])
    except NoCase:
        raise
    except (*_DAMAGE, KeyError, TypeError, ValueError, OverflowError) as error:
        raise NoCase(f"{path} is no case that can be read: {error}") from error


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _MOST_BYTES:
        raise NoCase(f"expected a manifest of at most {_MOST_BYTES} bytes")
    return archive.read(name)


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(text)
    except ValueError as error:
        raise NoCase(f"{MANIFEST} is not JSON: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or manifest.get("version") != VERSION:
        raise NoCase(f"expected {MANIFEST} of the format {FORMAT} {VERSION}")
    return manifest


def _names(archive: zipfile.ZipFile, files: Sequence[FileEntry]) -> list[str]:
    inside = archive.namelist()
    known = {MANIFEST, SUMS, *(each.name for each in files)}
    problems = [f"{name} is in it twice" for name in sorted({name for name in inside if inside.count(name) > 1})]
    problems += [f"{name} is not in the manifest" for name in sorted(set(inside) - known)]
    return problems + [f"{name} is missing" for name in sorted(known - set(inside))]


def _contents(archive: zipfile.ZipFile, files: Sequence[FileEntry], own: FileEntry) -> list[str]:
    inside = set(archive.namelist())
    problems = [_problem(archive, each) for each in files if each.name in inside]
    if SUMS in inside and archive.read(SUMS) != sums_text([*files, own]):
        problems.append(f"{SUMS} says something else than {MANIFEST}")
    return [problem for problem in problems if problem]


def _problem(archive: zipfile.ZipFile, entry: FileEntry) -> str:
    """→ empty where it is as it was made."""
    try:
        with archive.open(entry.name) as file:
            found = entry_of(entry.name, file)
    except _DAMAGE as error:
        return f"{entry.name} is damaged: {error}"
    if found.bytes != entry.bytes:
        return f"{entry.name} has {found.bytes} bytes, the manifest says {entry.bytes}"
    return "" if found.sha256 == entry.sha256 else f"{entry.name} was changed: its SHA-256 is {found.sha256}"


def entry_of(name: str, file: IO[bytes], copy_to: IO[bytes] | None = None) -> FileEntry:
    """Reads a file to its end, and writes it on the way."""
    digest, size = hashlib.sha256(), 0
    while block := file.read(_BLOCK):
        digest.update(block)
        size += len(block)
        if copy_to is not None:
            copy_to.write(block)
    return FileEntry(name, size, digest.hexdigest())
