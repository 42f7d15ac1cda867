from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from models.data.clip_file import ClipFormat, read_clip
from models.data.imports.cvat import CvatTracks, read_cvat
from models.data.tracks import people
from models.data.tracks.extract import ExtractConfig, extract, find_videos, name_videos
from models.data.tracks.group import GroupConfig, plan_examples
from models.data.tracks.people import PeopleSource, Person, given_people, pipeline_people
from models.data.tracks.track_folders import read_crops, read_facts, read_video
from models.errors import DatasetError, UnreadableFileError
from pipeline.appearance import AppearanceEncoder, with_features
from pipeline.clips import ClipBuffer, ClipConfig
from pipeline.crops import crop_person
from pipeline.detector import DetectorConfig, PersonDetector, resolve_person_weights
from pipeline.entities import Frame
from pipeline.sources.url import SourceUrl
from pipeline.sources.video_source import SourceOptions, VideoSource
from pipeline.tracker import PersonTracker
from tests.models.data.working_folder import BOX, SMALL, extract_given, quiet, write_mot
from tests.support.media import write_audio, write_video
from tests.support.places import REPOSITORY, STREET

CACHE = REPOSITORY / ".cache" / "tests"


def frames_of(video: Path) -> list[Frame]:
    return list(VideoSource(SourceUrl.from_path(video), SourceOptions(), lambda *_: None))


def corners() -> np.ndarray:
    left, top, width, height = BOX
    return np.array([left, top, left + width, top + height], np.float32)


def test_extract_writes_the_crops_of_the_service_numbered_by_frame(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", 12)
    write_mot(tmp_path / "mot" / "v.txt", {3: range(2, 9), 4: [5]})
    (done,) = extract_given(tmp_path / "work", [video], tmp_path / "mot", ExtractConfig(0.5, 48))
    assert (done.video, done.frames, done.people, done.crops, done.note) == ("v", 12, 2, 8, "")
    folder = tmp_path / "work" / "tracks" / "v"
    assert [path.name for path in sorted((folder / "00003").iterdir())] == [f"{n:06d}.jpg" for n in range(2, 9)]
    expected = crop_person(frames_of(video)[1].image, corners(), 48, 0.5)
    assert np.abs(read_clip(folder / "00003")[0].astype(int) - expected).mean() < 4


def test_extract_manifest_tells_frame_time_box_and_rate(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", 12, rate=10)
    extract_given(tmp_path / "work", [video], write_mot(tmp_path / "v.txt", {3: [1, 4]}))
    with (tmp_path / "work" / "tracks" / "v" / "manifest.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["video"], row["track_id"], row["frame"], float(row["time_s"])) for row in rows] == [
        ("v", "3", "1", 0.0),
        ("v", "3", "4", pytest.approx(0.3, abs=0.002)),
    ]
    assert [float(rows[0][name]) for name in ("x1", "y1", "x2", "y2", "fps")] == [40, 20, 70, 80, 10]


@pytest.mark.parametrize("form", [ClipFormat.FFV1, ClipFormat.H264])
def test_extract_as_clip_files_gives_the_same_crops(tmp_path: Path, form: ClipFormat) -> None:
    video = write_video(tmp_path / "v.mp4", 40)
    tracks = write_mot(tmp_path / "v.txt", {1: range(1, 41), 2: [3, 9]})
    extract_given(tmp_path / "work", [video], tracks, ExtractConfig(size=32, format=form))
    found = read_video(tmp_path / "work" / "tracks" / "v")
    wanted = [30, 31, 31, 39]
    crops = read_crops(found, found.tracks[0], wanted)
    images = [frame.image for frame in frames_of(video)]
    expected = np.stack([crop_person(images[index], corners(), 32) for index in wanted])
    difference = np.abs(crops.astype(int) - expected)
    assert difference.max() == 0 if form is ClipFormat.FFV1 else difference.mean() < 4
    assert len(read_crops(found, found.tracks[1], [0, 1])) == 2


def test_extract_fills_holes_in_given_tracks_and_says_so(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", 30)
    extract_given(tmp_path / "work", [video], write_mot(tmp_path / "v.txt", {1: [1, 2, 5, 20]}), fill=5)
    (track,) = read_video(tmp_path / "work" / "tracks" / "v").tracks
    assert track.frames.tolist() == [1, 2, 3, 4, 5, 20]
    assert track.coasting_s.tolist() == pytest.approx([0, 0, 0.04, 0.08, 0, 0], abs=0.002)


def test_extract_again_does_only_what_is_missing(tmp_path: Path) -> None:
    first, second = (write_video(tmp_path / f"{name}.mp4", 5) for name in "ab")
    for name in "ab":
        write_mot(tmp_path / "mot" / f"{name}.txt", {1: [1, 2]})
    work = tmp_path / "work"
    extract_given(work, [first], tmp_path / "mot")
    written = (work / "tracks" / "a" / "manifest.csv").stat().st_mtime_ns
    done = extract_given(work, [first, second], tmp_path / "mot")
    assert [(item.video, item.crops, item.note) for item in done] == [("a", 2, "already there"), ("b", 2, "")]
    assert (work / "tracks" / "a" / "manifest.csv").stat().st_mtime_ns == written


def test_extract_stopped_halfway_leaves_no_half_video_and_goes_on(tmp_path: Path) -> None:
    videos = [write_video(tmp_path / f"{name}.mp4", 8) for name in "ab"]
    for name in "ab":
        write_mot(tmp_path / "mot" / f"{name}.txt", {1: range(1, 9)})
    given = given_people(tmp_path / "mot", videos, 0)

    class Interrupted:
        def at(self, frame: Frame) -> list[Person]:
            if frame.index == 4:
                raise KeyboardInterrupt
            return [Person(1, corners(), 0.0)]

        def is_gone(self, track_id: int, frame: Frame) -> bool:
            return False

    stopping = PeopleSource(lambda video: Interrupted() if video.stem == "b" else given.open(video), given.describe)
    with pytest.raises(KeyboardInterrupt):
        list(extract(videos, tmp_path / "work", stopping, SMALL, quiet))
    assert [path.name for path in (tmp_path / "work" / "tracks").iterdir()] == ["a"]
    leftover = tmp_path / "work" / "tracks" / ".b.part" / "00001"  # what a kill would leave
    leftover.mkdir(parents=True)
    (leftover / "000099.jpg").touch()
    extract_given(tmp_path / "work", videos, tmp_path / "mot")
    assert sorted(path.name for path in (tmp_path / "work" / "tracks").iterdir()) == ["a", "b"]
    assert len(list((tmp_path / "work" / "tracks" / "b" / "00001").iterdir())) == 8


def test_extract_with_other_options_is_refused_and_done_again_on_demand(tmp_path: Path) -> None:
    video, tracks = write_video(tmp_path / "v.mp4", 4), write_mot(tmp_path / "v.txt", {1: [1]})
    extract_given(tmp_path / "work", [video], tracks)
    with pytest.raises(DatasetError, match=r"--overwrite:\n.*margin 0.2, now 0.4; size 32, now 40"):
        extract_given(tmp_path / "work", [video], tracks, ExtractConfig(0.4, 40))
    extract_given(tmp_path / "work", [video], tracks, ExtractConfig(0.4, 40, overwrite=True))
    assert read_facts(tmp_path / "work" / "tracks" / "v").margin == 0.4


def test_extract_video_that_cannot_be_read_is_told_and_the_others_are_done(tmp_path: Path) -> None:
    sound, good = write_audio(tmp_path / "a.mp4"), write_video(tmp_path / "b.mp4", 4)
    for name in "ab":
        write_mot(tmp_path / "mot" / f"{name}.txt", {1: [1]})
    done = extract_given(tmp_path / "work", [sound, good], tmp_path / "mot")
    assert [(item.failed, item.crops) for item in done] == [(True, 0), (False, 1)]
    assert done[0].note
    assert [path.name for path in (tmp_path / "work" / "tracks").iterdir()] == ["b"]


def test_extract_cut_off_video_keeps_what_came_before(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mkv", 200, gop=5)
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    (done,) = extract_given(tmp_path / "work", [video], write_mot(tmp_path / "v.txt", {1: range(1, 201)}))
    assert not done.failed
    assert 20 < done.crops < 150
    assert done.note == read_facts(tmp_path / "work" / "tracks" / "v").problem != ""


def test_videos_of_equal_names_get_names_of_their_own(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("x/cam 1.mp4", "y/cam 1.mp4", "z.mp4", "y/cam 1.avi")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert list(name_videos(tmp_path / "work", paths[:3]).values()) == ["x-cam_1", "y-cam_1", "z"]
    names = list(name_videos(tmp_path / "work", paths).values())
    assert names == ["x-cam_1.mp4", "y-cam_1.mp4", "z", "y-cam_1.avi"]


def test_video_of_a_taken_name_gets_another_and_keeps_it(tmp_path: Path) -> None:
    first, second = tmp_path / "x" / "v.mp4", tmp_path / "y" / "v.mp4"
    for path in (first, second):
        path.parent.mkdir()
        write_video(path, 4)
    tracks = write_mot(tmp_path / "v.txt", {1: [1]})
    extract_given(tmp_path / "work", [first], tracks)
    assert [item.video for item in extract_given(tmp_path / "work", [second], tracks)] == ["y-v"]
    assert list(name_videos(tmp_path / "work", [second, first]).values()) == ["y-v", "v"]


def test_video_that_was_moved_is_still_the_same(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", 4)
    tracks = write_mot(tmp_path / "v.txt", {1: [1]})
    extract_given(tmp_path / "work", [video], tracks)
    (tmp_path / "new").mkdir()
    moved = video.rename(tmp_path / "new" / "v.mp4")
    assert extract_given(tmp_path / "work", [moved], tracks)[0].note == "already there"


def test_find_videos_takes_folders_and_lists_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    video = write_video(tmp_path / "v.mp4", 2)
    assert find_videos([tmp_path, video]).videos == (video.resolve(),)
    crops = write_video(tmp_path / "work.mp4", 2).rename(tmp_path / "empty" / "00001.mp4")
    assert find_videos([tmp_path], work=tmp_path / "empty").videos == (video.resolve(),)
    crops.unlink()
    bad = [tmp_path / "no.mp4", tmp_path / "empty"]
    expected = ["there is no such file", "a folder without videos"]
    found = find_videos([video, *bad])
    assert found.videos == (video.resolve(),)
    assert [line.rpartition(": ")[2] for line in found.problems] == expected
    with pytest.raises(DatasetError) as caught:
        find_videos(bad)
    assert [line.rpartition(": ")[2] for line in str(caught.value).splitlines()] == expected


def test_given_people_of_some_videos_can_be_used_without_the_others(tmp_path: Path) -> None:
    write_mot(tmp_path / "mot" / "b" / "gt" / "gt.txt", {1: [1]})
    first, second, third = (Path(name) for name in ("a.mp4", "b.mp4", "c.mp4"))
    people = given_people(tmp_path / "mot", [first, second, third], 0)
    assert people.describe(second).startswith("gt.txt sha256:")
    for use in (people.open, people.describe):
        with pytest.raises(UnreadableFileError, match=r"no tracks for a\.mp4: expected .*a\.txt or \.xml"):
            use(first)
    with pytest.raises(DatasetError) as caught:
        given_people(tmp_path / "mot", [first, third], 0)
    assert len(str(caught.value).splitlines()) == 2


@pytest.fixture(scope="module")
def networks() -> tuple[PersonDetector, AppearanceEncoder]:
    weights = resolve_person_weights(REPOSITORY / "weights")
    if isinstance(weights, str):
        pytest.skip("weights/person is not here: `actoscope train-person` makes it")
    return PersonDetector.load(weights, DetectorConfig(cache_dir=CACHE)), AppearanceEncoder.load(None, CACHE)


@pytest.mark.timeout(600)  # networks are converted when first used
def test_extracted_example_is_the_clip_that_the_service_would_classify(
    tmp_path: Path, networks: tuple[PersonDetector, AppearanceEncoder]
) -> None:
    detector, encoder = networks
    config = ExtractConfig(size=64, format=ClipFormat.FFV1)  # lossless: the comparison is exact
    people = pipeline_people(detector, encoder, "test")
    short = tmp_path / "short.mp4"
    _copy_start(STREET, short, seconds=0.8)
    (done,) = extract([short], tmp_path / "work", people, config, quiet)
    video = read_video(tmp_path / "work" / "tracks" / "short")
    served = _served(frames_of(short), networks, ClipConfig(size=64, provisional_from=12))
    assert done.people == len(video.tracks) >= len(served) >= 1
    for track_id, clip in served.items():
        track = video.track(track_id)
        assert track is not None
        plan = plan_examples(video, None, GroupConfig(whole=True))
        (example,) = (item for item in plan.examples if item.track_id == track_id)
        assert np.array_equal(read_crops(video, track, example.indices[: len(clip)]), clip)


def _served(
    frames: list[Frame], networks: tuple[PersonDetector, AppearanceEncoder], config: ClipConfig
) -> dict[int, np.ndarray]:
    """The real crops of every track's first clip, as the straight line of the service makes it."""
    detector, encoder = networks
    tracker, buffer = PersonTracker(), ClipBuffer(config)
    clips: dict[int, np.ndarray] = {}
    for frame in frames:
        expected = tracker.expected(frame.time_s)
        found = with_features(encoder, frame.image, detector.detect([frame.image])[0], expected)
        for clip in buffer.push(frame, tracker.update(frame, found)):
            clips.setdefault(clip.track_id, clip.stack()[-clip.filled :])
    return clips


def _copy_start(video: Path, target: Path, seconds: float) -> None:
    import av

    with av.open(str(video)) as source, av.open(str(target), "w") as copy:
        stream = source.streams.video[0]
        out = copy.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.pts is None or float(packet.pts * stream.time_base) > seconds:
                continue
            packet.stream = out
            copy.mux(packet)


@pytest.mark.parametrize("damaged", ["video.json", "manifest.csv"])
def test_extract_again_goes_on_over_a_damaged_video_and_makes_it_anew(tmp_path: Path, damaged: str) -> None:
    videos = [write_video(tmp_path / f"{name}.mp4", 8) for name in "ab"]
    for name in "ab":
        write_mot(tmp_path / "mot" / f"{name}.txt", {1: range(1, 9)})
    extract_given(tmp_path / "work", videos, tmp_path / "mot")
    (tmp_path / "work" / "tracks" / "a" / damaged).write_text("{")
    first, second = extract_given(tmp_path / "work", videos, tmp_path / "mot")
    assert (first.crops, first.note, second.note) == (8, "", "already there")
    assert first.video == "a" if damaged == "manifest.csv" else first.video != "a"
    assert len(read_video(tmp_path / "work" / "tracks" / first.video).tracks[0].frames) == 8


def test_given_cvat_files_are_parsed_once_up_front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = '<box frame="0" outside="0" xtl="1" ytl="1" xbr="9" ybr="9"/>'
    (tmp_path / "v.xml").write_text(f'<annotations><track id="0" label="person">{box}</track></annotations>')
    parsed: list[Path] = []

    def counted(path: Path) -> CvatTracks:
        parsed.append(path)
        return read_cvat(path)

    monkeypatch.setattr(people, "read_cvat", counted)
    given_people(tmp_path / "v.xml", [tmp_path / "v.mp4"], 0)
    assert parsed == [tmp_path / "v.xml"]
