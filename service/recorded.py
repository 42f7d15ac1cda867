"""A finished recording on its way from a stream's process to the store: ``Segment`` as JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from service.segment_files import Segment


def to_fields(segment: Segment) -> dict[str, Any]:
    """→ every field, ready for JSON."""
    fields = asdict(segment)
    fields["path"] = str(segment.path)
    fields["sidecar"] = None if segment.sidecar is None else str(segment.sidecar)
    fields["size_hw"] = list(segment.size_hw)
    return fields


def from_fields(fields: Mapping[str, Any]) -> Segment:
    """The inverse of ``to_fields``."""
    sidecar, size_hw = fields["sidecar"], fields["size_hw"]
    changed = {
        "path": Path(fields["path"]),
        "sidecar": None if sidecar is None else Path(sidecar),
        "size_hw": (int(size_hw[0]), int(size_hw[1])),
    }
    return Segment(**{**fields, **changed})
