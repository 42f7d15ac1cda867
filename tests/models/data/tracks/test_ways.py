"""Ways of labelled people out of a working folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models.data.manifest import ClipRecord
from models.data.tracks.ways import labelled_ways
from models.errors import DatasetError

FACTS = {"source": "/v.mp4", "size_bytes": 1, "tracks_from": "pipeline", "margin": 0.2, "size": 224, "format": "jpeg"}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Track 1 walks for 2 s at 10 pictures a second, track 2 stands beside, track 3 is track 1 once more."""
    folder = tmp_path / "tracks" / "v"
    folder.mkdir(parents=True)
    lines = ["video,track_id,frame,time_s,x1,y1,x2,y2,fps,coasting_s"]
    for index in range(20):
        for track, left in ((1, index * 10), (2, 300), (3, index * 10 + 2)):
            if track == 1 or index >= 5:
                lines.append(f"v,{track},{index + 1},{index / 10},{left},0,{left + 50},100,10,0")
    (folder / "manifest.csv").write_text("\n".join(lines))
    (folder / "video.json").write_text(json.dumps(FACTS))
    return tmp_path


def record(track: int = 1, start_s: float = 0.0, end_s: float = 1.9) -> ClipRecord:
    return ClipRecord(Path("a.mkv"), "Walking", "g", video="v", track_id=track, start_s=start_s, end_s=end_s)


def test_way_is_sampled_as_clips_are_and_knows_who_else_is_there(work: Path) -> None:
    (found,) = labelled_ways(work, [record()])["v"]
    assert found.frames[[0, -1]].tolist() == [1, 20] and len(found) == 49  # 25 a second over 1.9 s
    assert found.way.boxes[-1].tolist() == [190, 0, 240, 100]
    assert len(found.way.others) == 1 and np.isnan(found.way.others[0, 0]).all()
    assert found.way.others[0, -1].tolist() == [300, 0, 350, 100]


def test_way_ends_where_the_record_ends(work: Path) -> None:
    (found,) = labelled_ways(work, [record(start_s=0.5, end_s=1.0)])["v"]
    assert found.frames[[0, -1]].tolist() == [6, 11]


def test_record_without_its_track_is_told_of(work: Path) -> None:
    with pytest.raises(DatasetError, match="no track 9"):
        labelled_ways(work, [record(track=9)])
    with pytest.raises(DatasetError, match=r"manifest\.csv cannot be read"):
        (work / "tracks" / "v" / "manifest.csv").write_text("video,track_id\nv,1\n")
        labelled_ways(work, [record()])
