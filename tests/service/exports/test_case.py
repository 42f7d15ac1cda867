"""A case as one ZIP: what is in it, that it verifies, and that every change to it is found."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.data.imports.cvat import read_cvat
from service import cli
from service.exports import case
from service.exports.case import NoRoom, write_case
from service.exports.job import CameraJob, CaseJob, Made, Report, Wish, pack, unpack
from service.exports.proof import NoCase, verify_case
from service.exports.tables import safe_cell
from service.wire_messages import rfc3339
from tests.service.exports.recorded import BEGIN, MEDIA_S, left_of, record, tracks_line
from tests.support.places import REPOSITORY

EVENT = {
    **{"id": "evt_1", "stream_id": "str_000000000000000a", "track_id": 1, "action": "=cmd|' /C calc'!A0"},
    **{"kind": "ended", "confidence": 0.5, "peak_confidence": 0.9, "start_s": 501.0, "end_s": 502.0, "model": "m"},
    **{"started_at": rfc3339(BEGIN + 1), "updated_at": rfc3339(BEGIN + 2), "ended_at": rfc3339(BEGIN + 2)},
    "zones": ["gate"],
    "verdict": {"verdict": "wrong", "label": "Walking", "by": "nina", "version": 2},
}


def lines(at: float) -> dict[str, Any]:
    return tracks_line(at, MEDIA_S)


@pytest.fixture
def job(tmp_path: Path) -> CaseJob:
    gate = CameraJob("str_000000000000000a", "Gate / Süd", (record(tmp_path / "a", 0, 3, lines),))
    yard = CameraJob("str_000000000000000b", "Yard", ())
    span: dict[str, Any] = {"begin": BEGIN, "end": BEGIN + 3, "timezone": "Europe/Berlin"}
    about: dict[str, Any] = {"made_by": "nina", "made_at": BEGIN + 60, "software": "Actoscope 1", "events": (EVENT,)}
    return CaseJob("exp_1", "Fight at the gate", tmp_path / "exp_1", cameras=(gate, yard), wish=Wish(), **span, **about)


def made(job: CaseJob) -> tuple[Path, Made]:
    target = write_case(job, lambda _: None)
    return job.folder / "case.zip", target


def test_case_holds_video_lines_events_and_a_manifest_that_names_them_all(job: CaseJob):
    path, told = made(job)
    assert (told.bytes, told.sha256) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    assert sorted(each.name for each in job.folder.iterdir()) == ["case.zip"], "nothing is left beside it"
    with zipfile.ZipFile(path) as archive:
        stem = "cameras/gate-s-d-str_000000000000000a"
        names = [f"{stem}.mp4", f"{stem}.jsonl", "events.csv", "events.json", "README.txt"]
        assert archive.namelist() == [*names, "manifest.json", "SHA256SUMS"]
        assert archive.getinfo(names[0]).compress_type == zipfile.ZIP_STORED
        manifest = json.loads(archive.read("manifest.json"))
        said = [json.loads(line) for line in archive.read(names[1]).splitlines()]
    assert [each["name"] for each in manifest["files"]] == names
    assert (manifest["made_by"], manifest["timezone"], manifest["events"]) == ("nina", "Europe/Berlin", 1)
    assert manifest["since_local"] == "2026-05-04 05:00:00.000 +02:00"
    gate, yard = manifest["cameras"]
    assert (gate["made"], gate["pictures"], gate["gaps"], gate["video"]) == ("copied", 30, [], names[0])
    assert (yard["made"], yard["video"], yard["gaps"][0]["seconds"]) == ("none", None, 3.0)
    assert [line["video_s"] for line in said] == pytest.approx([n / 10 for n in range(30)], abs=0.002)


def test_annotations_are_of_the_very_pictures_of_the_video(job: CaseJob, tmp_path: Path):
    path, _ = made(replace(job, begin=BEGIN + 1, wish=Wish(cvat=True)))
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "out")
    (xml,) = (tmp_path / "out" / "cameras").glob("*.cvat.xml")
    found = read_cvat(xml)
    assert [track.track_id for track in found.tracks] == [1, 2]
    assert sorted(found.tracks[0].boxes) == list(range(1, 21)), "a second less of it"
    x1, y1, _, _ = found.tracks[0].boxes[1]
    assert (x1, y1) == pytest.approx((left_of(1, 1.0), 40), abs=1)
    assert [(each.track_id, each.start, each.end, each.label) for each in found.actions] == [
        (1, 1, 20, "Walking"),
        (2, 1, 20, "Walking"),
    ]
    assert found.source == xml.name.removesuffix(".cvat.xml") + ".mp4"


def test_table_says_where_in_the_video_an_event_is_and_runs_nothing(job: CaseJob):
    path, _ = made(job)
    with zipfile.ZipFile(path) as archive:
        text = archive.read("events.csv").decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["camera"], row["person"], row["video_s"]) == ("Gate / Süd", "1", "1.0")
    assert (row["verdict"], row["verdict_label"], row["verdict_by"]) == ("wrong", "Walking", "nina")
    assert (row["started_local"], row["action"]) == ("2026-05-04 05:00:01.000 +02:00", "'=cmd|' /C calc'!A0")


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        *[(sign + "1+1", "'" + sign + "1+1") for sign in "=+-@\t\r\n"],
        *[(-0.5, "-0.5"), (None, ""), ("Walking", "Walking"), ("", ""), ("-", "'-"), ("1,5", "1,5")],
    ],
)
def test_cell_is_never_a_formula(value: object, cell: str):
    assert safe_cell(value) == cell


def test_case_verifies_by_command_and_without_actoscope(
    job: CaseJob, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path, told = made(job)
    assert cli.main(["case", "verify", str(path), "--sha256", told.sha256.upper()]) == 0
    assert "5 files are as they were made" in capsys.readouterr().out
    assert cli.main(["case", "verify", str(path), "--sha256", "0" * 64]) == 1
    assert "the file is another one" in capsys.readouterr().err
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "out")
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("there is no sha256sum here")
    checked = subprocess.run([program, "-c", "SHA256SUMS"], cwd=tmp_path / "out", check=True, capture_output=True)
    assert checked.stdout.count(b": OK") == 6


Change = Callable[[dict[str, bytes]], None]


def rewritten(path: Path, change: Change) -> Path:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    changed = path.with_name("changed.zip")
    with zipfile.ZipFile(changed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return changed


def forge(files: dict[str, bytes]) -> None:
    """Changes a file, and what the manifest says of it."""
    files["events.json"] = b"{}\n"
    manifest = json.loads(files["manifest.json"])
    for each in manifest["files"]:
        if each["name"] == "events.json":
            each |= {"bytes": 3, "sha256": hashlib.sha256(b"{}\n").hexdigest()}
    files["manifest.json"] = json.dumps(manifest).encode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda files: files.update({"events.json": files["events.json"].replace(b"0.9", b"0.8")}), "was changed"),
        (lambda files: files.update({"README.txt": b""}), "the manifest says"),
        (lambda files: files.pop("events.csv"), "events.csv is missing"),
        (lambda files: files.update({"more.mp4": b"x"}), "more.mp4 is not in the manifest"),
        (forge, "SHA256SUMS says something else"),
    ],
)
def test_every_change_is_found(job: CaseJob, change: Change, said: str):
    verdict = verify_case(rewritten(made(job)[0], change))
    assert any(said in problem for problem in verdict.problems), verdict.problems


def test_damaged_byte_is_found(job: CaseJob):
    path, _ = made(job)
    content = bytearray(path.read_bytes())
    content[5000] ^= 1  # within the video
    path.write_bytes(content)
    assert verify_case(path).problems != []


def patched(path: Path, name: str, place: int, change: int) -> Path:
    """A byte of a file's header or data, and of its entry in the directory, is another one; all sums stay."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        begin = archive.getinfo(name).header_offset
    if place < 30:  # the header's; the directory has the same two bytes later
        content[begin + place] ^= change
        entry = content.index(name.encode(), content.index(b"PK\x01\x02")) - 46
        content[entry + place + 2] ^= change
    else:
        content[begin + len(name) + place] ^= change
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("place", "change"), [(30, 0x07), (6, 0x01)], ids=["deflated stream", "said to be encrypted"])
@pytest.mark.parametrize("name", ["events.csv", "manifest.json"])
def test_damage_that_zip_itself_trips_over_is_told(
    job: CaseJob, name: str, place: int, change: int, capsys: pytest.CaptureFixture[str]
):
    path = patched(made(job)[0], name, place, change)
    assert cli.main(["case", "verify", str(path)]) == 1
    said = capsys.readouterr().err
    assert ("events.csv is damaged" if name == "events.csv" else "is no case that can be read") in said


@pytest.mark.parametrize("size", [b'"x"', b"Infinity", b"null"])
def test_manifest_with_a_size_that_is_none_is_refused(job: CaseJob, size: bytes):
    def change(files: dict[str, bytes]) -> None:
        files["manifest.json"] = re.sub(rb'"bytes": \d+', b'"bytes": ' + size, files["manifest.json"], count=1)

    with pytest.raises(NoCase, match="is no case that can be read"):
        verify_case(rewritten(made(job)[0], change))


def test_file_that_is_in_it_twice_is_found(job: CaseJob):
    path, _ = made(job)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("events.json", b"{}")
    assert any("twice" in problem for problem in verify_case(path).problems)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04nonsense"])
def test_what_is_no_case_is_refused(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    with pytest.raises(NoCase):
        verify_case(path)
    assert cli.main(["case", "verify", str(path)]) == 1
    assert "is no case" in capsys.readouterr().err


def test_zip_of_something_else_is_refused(tmp_path: Path):
    for manifest in (None, b"[]", b"{", b'{"format": "other"}'):
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            archive.writestr("a.txt", b"")
            if manifest is not None:
                archive.writestr("manifest.json", manifest)
        with pytest.raises(NoCase):
            verify_case(tmp_path / "x.zip")


def test_full_disk_leaves_nothing_half_written(job: CaseJob):
    with pytest.raises(NoRoom, match="the disk is full"):
        write_case(replace(job, min_free_bytes=1 << 60), lambda _: None)
    assert list(job.folder.iterdir()) == []


def test_large_files_are_written_as_zip64(job: CaseJob, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(case, "ZIP64_FROM", 1000)
    assert verify_case(made(job)[0]).problems == []


def test_job_and_reports_cross_the_pipe_as_they_are(job: CaseJob):
    assert unpack(pack(job), CaseJob) == job
    assert unpack(pack(Report(1.0, Made(5, "f"))), Report) == Report(1.0, Made(5, "f"))


def run_process(job: CaseJob) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "service.exports.export_process"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY
    ) as child:
        assert child.stdin is not None and child.stdout is not None and child.stderr is not None
        child.stdin.write(pack(job) + b"\n")
        child.stdin.flush()
        out, said = child.stdout.read(), child.stderr.read()
    return subprocess.CompletedProcess(command, child.returncode, out, said)


def test_process_tells_how_far_it_is_and_what_came_of_it(job: CaseJob):
    done = run_process(replace(job, wish=Wish(overlay=True)))
    assert done.returncode == 0, done.stderr
    *progress, last = done.stdout.splitlines()
    told = [unpack(line, Report).done for line in progress]
    assert len(told) > 5 and told == sorted(told) and told[-1] == 1.0
    report = unpack(last, Report)
    assert report.made is not None and report.made.bytes == (job.folder / "case.zip").stat().st_size


def test_process_that_fails_says_why_in_one_sentence(job: CaseJob):
    done = run_process(replace(job, timezone="Mars/Olympus"))
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"expected a time zone of the IANA database, such as Europe/Berlin, got 'Mars/Olympus'\n"


def test_process_that_fails_by_an_error_of_its_own_ends_and_says_which(job: CaseJob):
    done = run_process(replace(job, events=({},)))
    assert (done.returncode, done.stdout.count(b"made")) == (1, done.stdout.count(b'"made":null'))
    assert done.stderr.startswith(b"an error of the service: KeyError: ") and done.stderr.count(b"\n") == 1


def test_process_ends_with_the_service(job: CaseJob):
    command = [sys.executable, "-m", "service.exports.export_process"]
    long = replace(job, wish=Wish(overlay=True), cameras=job.cameras[:1] * 200)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY) as child:
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(pack(long) + b"\n")
        child.stdin.flush()
        child.stdout.readline()
        child.stdin.close()
        assert child.wait(10) == 1
