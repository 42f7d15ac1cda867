"""Keys in the bucket and paths in the data folder: the same but for days, by which a bucket is easier to look through.

recordings/<stream>/20261128T083346123Z.mp4   →  recordings/<stream>/2026/11/28/20261128T083346123Z.mp4
incidents/<incident>/clip.mp4                 →  the same
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from service.storage.objects import INCIDENTS, RECORDINGS

OWNER_KEY = f"{RECORDINGS}/OWNER"
_DAY = re.compile(r"(\d{4})(\d{2})(\d{2})T\d{9}Z\.")
_FILE = r"(\d{8}T\d{9}Z)\.(mp4|jsonl|jsonl\.gz)"
_RECORDING = re.compile(rf"{RECORDINGS}/([\w-]{{1,40}})/\d{{4}}/\d\d/\d\d/{_FILE}")
_INCIDENT = re.compile(rf"{INCIDENTS}/([\w-]{{1,40}})/(?:clip\.mp4|snapshot\.jpg)")


def key_of(path: str) -> str:
    """``path``: relative to the data folder."""
    folder, _, name = path.rpartition("/")
    day = _DAY.match(name) if path.startswith(f"{RECORDINGS}/") else None
    return path if day is None else "/".join((folder, *day.groups(), name))


def path_of(key: str) -> str | None:
    """→ the path that ``key_of`` makes this of; None where it is none of ours."""
    found = _RECORDING.fullmatch(key)
    path = f"{RECORDINGS}/{found[1]}/{found[2]}.{found[3]}" if found else key
    return path if (found or _INCIDENT.fullmatch(key)) and key_of(path) == key else None


def incident_of(key: str) -> str | None:
    found = _INCIDENT.fullmatch(key)
    return found[1] if found else None


def is_video(key: str) -> bool:
    return key.startswith(f"{RECORDINGS}/") and PurePosixPath(key).suffix == ".mp4"


def video_key_of(key: str) -> str:
    """→ of the video that a sidecar lies beside."""
    return key.rpartition("/")[0] + "/" + PurePosixPath(key).name.partition(".")[0] + ".mp4"


def sidecar_keys_of(key: str) -> tuple[str, ...]:
    """→ where a video's sidecar can be."""
    stem = key.removesuffix(".mp4")
    return f"{stem}.jsonl.gz", f"{stem}.jsonl"
