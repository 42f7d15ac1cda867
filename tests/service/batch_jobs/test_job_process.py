"""A job's process: what it is told, what is seen of it, and that it ends with whoever began it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from models.training.batch.share import Share
from service.batch_jobs import job_process
from service.batch_jobs.job_process import JobProcess, command_words, read_rows
from service.batch_jobs.order import ConfigFile, JobOrder, told_of_itself
from service.batch_jobs.scratch import Scratch
from tests.support.places import REPOSITORY
from tests.support.service import wait_for


def order(*words: str, config: ConfigFile | None = None, output: Path = Path("out")) -> JobOrder:
    return JobOrder("fold-2", words, output, Share(1, 3), config)


def test_job_is_told_of_itself_as_aws_batch_tells_it() -> None:
    assert told_of_itself(order(), "ray-1", 2) == {
        "AWS_BATCH_JOB_ID": "ray-1:1",
        "AWS_BATCH_JOB_ATTEMPT": "2",
        "AWS_BATCH_JOB_ARRAY_INDEX": "1",
        "AWS_BATCH_JOB_ARRAY_SIZE": "3",
    }
    alone = JobOrder("final", (), Path("out"))
    assert told_of_itself(alone, "ray-1", 1) == {"AWS_BATCH_JOB_ID": "ray-1", "AWS_BATCH_JOB_ATTEMPT": "1"}


def test_configuration_is_written_where_the_job_runs(tmp_path: Path) -> None:
    *words, option, path = command_words(
        order("batch", "run", config=ConfigFile("--config", "my.py", "A = 1")), tmp_path
    )
    assert (words, option) == (["batch", "run"], "--config")
    assert Path(path).is_relative_to(tmp_path) and Path(path).name == "my.py" and Path(path).read_text() == "A = 1"


def test_jobs_of_one_machine_share_data_and_features_and_nothing_else(tmp_path: Path) -> None:
    first, second = Scratch(tmp_path, Path("trials/0001")), Scratch(tmp_path, Path("trials/0002"))
    assert first.features == second.features and first.data("ab" * 32) == second.data("ab" * 32)
    assert first.runs != second.runs and first.model("gym") != second.model("gym")
    assert first.log(Share(1, 3)) == first.runs / "fold-2" / "log.csv"


def test_what_a_job_says_and_how_it_ends_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/secret")
    job = JobProcess(order("batch", "run", "--config", "quik", "--data", "d", "--output", "o"), "ray-1", 1, tmp_path)
    wait_for(lambda: job.look(0).status is not None, 60, "the job ends")
    seen = job.look(0)
    assert seen.status == 1 and "no configuration is called 'quik'" in seen.complaint
    assert seen.rows == () and seen.host
    environment = job_process._environment({"AWS_BATCH_JOB_ID": "a"})
    assert "RAY_AUTH_TOKEN_PATH" not in environment and environment["AWS_BATCH_JOB_ID"] == "a"


def test_lines_are_given_once_and_old_ones_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_process, "MOST_LINES", 2)
    job = JobProcess(order("--version"), "ray-1", 1, tmp_path)
    wait_for(lambda: job.look(0).status == 0, 60, "the job ends")
    assert [line.startswith("actoscope ") for line in job.look(0).lines] == [True]
    assert job.look(1).lines == () and job.look(1).first == 1
    for number in range(4):
        job._print(f"line {number}")
    assert (job.look(1).first, job.look(1).lines) == (3, ("line 2", "line 3"))


def test_rows_are_those_of_the_training_s_log(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "log.csv") == ()
    (tmp_path / "log.csv").write_text("epoch,loss,val_macro_f1\n1,0.7,0.25\n2,0.6,0.5\n")
    assert read_rows(tmp_path / "log.csv")[1] == {"epoch": 2.0, "loss": 0.6, "val_macro_f1": 0.5}


def test_job_ends_with_whoever_began_it_however_that_ends(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom service.batch_jobs import job_process\n"
        "from tests.service.batch_jobs.test_job_process import order\n"
        "begin = job_process.subprocess.Popen\n"
        "job_process.subprocess.Popen = lambda command, **options: begin(['sleep', '600'], **options)\n"
        f"job = job_process.JobProcess(order(), 'ray-1', 1, Path({str(tmp_path)!r}))\n"
        "print(job._process.pid, flush=True)\ntime.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert psutil.pid_exists(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait(10)
    parent.stdout.close()
    wait_for(lambda: not psutil.pid_exists(child), 10, "the job has ended")
