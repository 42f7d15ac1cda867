"""``<data folder>/corrections``: one folder a verdict, with its clip and ``label.json``; whole, or not there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data.clip_file import write_clip
from models.data.imports.corrections import CLIP_FILE, CorrectionFacts, read_facts, write_facts
from models.errors import DatasetError
from pipeline.files import file_sha256
from service.recording.segment_files import sync_directory, sync_file
from service.storage.review.records import VerdictRecord
from service.wire_messages import rfc3339

_PART = ".part"


class CorrectionFolder:
    """Synchronous; one thread writes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self) -> None:
        """Makes it, and removes what a kill left half written."""
        self._root.mkdir(parents=True, exist_ok=True)
        for part in self._root.glob(f".*{_PART}"):
            shutil.rmtree(part, ignore_errors=True)

    def clip(self, verdict_id: str) -> Path:
        return self._root / verdict_id / CLIP_FILE

    def count(self) -> int:
        return sum(1 for path in self._root.iterdir() if not path.name.startswith("."))

    def free_bytes(self) -> int:
        return shutil.disk_usage(self._root).free

    def kept(self, verdict_id: str) -> str | None:
        """→ the checksum of a clip that is there already, whole."""
        try:
            facts = read_facts(self._root / verdict_id)
            return facts.sha256 if file_sha256(self.clip(verdict_id)) == facts.sha256 else None
        except (DatasetError, OSError):
            return None

    def store(self, record: VerdictRecord, crops: NDArray[np.uint8] | str, rate_hz: float) -> str:
        """``crops``: uint8 (T, S, S, 3) RGB, or the id of an earlier verdict with the same clip. → its checksum.

        Raises OSError, and leaves nothing then.
        """
        part = self._root / f".{record.id}{_PART}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            self._fill(part, record, crops, rate_hz)
            sync_directory(part)
            whole = self._root / record.id
            shutil.rmtree(whole, ignore_errors=True)  # one that ``kept`` found damaged
            part.rename(whole)
            sync_directory(self._root)
        except BaseException:  # a full disk is not to be filled with halves
            shutil.rmtree(part, ignore_errors=True)
            raise
        return file_sha256(self.clip(record.id))

    def _fill(self, part: Path, record: VerdictRecord, crops: NDArray[np.uint8] | str, rate_hz: float) -> None:
        clip = part / CLIP_FILE
        if isinstance(crops, str):
            _copy(self.clip(crops), clip)
        else:
            write_clip(clip, crops, rate_hz)
            sync_file(clip)
        write_facts(part, facts_of(record, file_sha256(clip)))

    def supersede(self, record: VerdictRecord) -> None:
        """Says in ``label.json`` who follows. Raises OSError and DatasetError."""
        folder = self._root / record.id
        facts = read_facts(folder)
        if facts.superseded_by != record.superseded_by:
            write_facts(folder, facts.model_copy(update={"superseded_by": record.superseded_by}))


def _copy(clip: Path, target: Path) -> None:
    """Neither is ever written to again, so both may be one file, where the disk knows such."""
    try:
        os.link(clip, target)
    except OSError:
        shutil.copyfile(clip, target)


def facts_of(record: VerdictRecord, sha256: str) -> CorrectionFacts:
    """Raises ValueError for a verdict without a label."""
    same: dict[str, Any] = {name: getattr(record, name) for name in _SAME}
    model = None if record.model is None else record.model.partition("@")[0]
    same |= {"started_at": rfc3339(record.started_at), "at": rfc3339(record.at)}
    return CorrectionFacts(**same, model=model, model_version=record.model, sha256=sha256)


_SAME = (
    *("id", "event_id", "stream_id", "stream_name", "track_id", "group", "start_s", "end_s"),
    *("label", "said", "verdict", "by", "split", "near_threshold", "superseded_by"),
)
