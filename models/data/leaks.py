"""A leak: clips that share a group (source video, camera, person) in two splits. Measured on it, a model looks good
that has only learnt the scene by heart; so no tool here works on a data set that has one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from models.data.manifest import ClipRecord, Split
from models.errors import DatasetError

_ORDER = tuple(Split)


class LeakError(DatasetError):
    """Groups lie in several splits; ``groups`` maps each to its splits. The message lists every one."""

    def __init__(self, groups: Mapping[str, Sequence[Split]], advice: str = "") -> None:
        self.groups = dict(groups)
        listed = "; ".join(
            f"{group!r} in {' and '.join(split.value for split in splits)}" for group, splits in self.groups.items()
        )
        end = f". {advice}" if advice else ""
        super().__init__(f"{len(self.groups)} groups lie in more than one split: {listed}{end}")


def leaking(members: Iterable[tuple[str, Split]]) -> dict[str, tuple[Split, ...]]:
    """(group, split) of each clip → the groups in two splits or more, with these, train first. NONE counts for none."""
    found: defaultdict[str, set[Split]] = defaultdict(set)
    for group, split in members:
        found[group].add(split)
    decided = {group: tuple(sorted(splits - {Split.NONE}, key=_ORDER.index)) for group, splits in found.items()}
    return {group: decided[group] for group in sorted(decided) if len(decided[group]) > 1}


def check_leaks(records: Iterable[ClipRecord]) -> None:
    """Raises LeakError that lists every group in two splits, DatasetError that lists split clips without a group."""
    records = tuple(records)
    homeless = [record.path.name for record in records if not record.group and record.split is not Split.NONE]
    if homeless:
        raise DatasetError(f"{len(homeless)} clips are in a split, but in no group: {', '.join(homeless)}")
    leaks = leaking((record.group, record.split) for record in records)
    if leaks:
        raise LeakError(leaks)
