"""``actoscope serve`` that cannot begin; what it does when it can is tests/e2e's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import uvicorn

from service.commands.serve import Welcome
from service.recording.locks import DataDirLock
from service.settings import Settings
from tests.service.commands.command_line import check_one_line, run
from tests.support.places import REPOSITORY
from tests.support.service import free_port


def test_serve_on_a_port_in_use_says_so_before_it_starts_anything(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        check_one_line(run(tmp_path, "serve", "--port", port), "127.0.0.1", port, "already in use", "--port")


def test_serve_on_an_address_that_is_not_ours_says_so(tmp_path: Path):
    # 192.0.2.0/24 is for documentation: no machine has it (RFC 5737).
    check_one_line(run(tmp_path, "serve", "--host", "192.0.2.1"), "192.0.2.1", "Cannot assign requested address")


def test_welcome_asks_by_a_listed_name():
    """Else a service that listens on an address of a network would not answer itself."""
    settings = Settings(host="192.0.2.1", hosts=("cameras.example", "192.0.2.9"))
    welcome = Welcome(settings, uvicorn.Server(uvicorn.Config(app="none")))
    assert (welcome.url, welcome.headers) == ("http://192.0.2.1:8000", {"Host": "cameras.example"})


SERVE = """
import errno, fcntl, sys
from service.cli import main

def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")

if sys.argv[2] == "without locks":
    fcntl.flock = refuse
sys.exit(main(["serve", "--port", sys.argv[1]]))
"""


def serve_on(data_dir: Path, how: str = "as it is") -> tuple[int, str]:
    """A service that is to end by itself. → its exit status, and all it said."""
    command = [sys.executable, "-c", SERVE, str(free_port()), how]
    environment = {**os.environ, "ACTOSCOPE_DATA_DIR": str(data_dir)}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_second_service_on_a_data_folder_ends_with_a_sentence_and_touches_nothing(tmp_path: Path):
    lock = DataDirLock(tmp_path)
    status, said = serve_on(tmp_path)
    lock.release()
    assert status == 1
    assert f"actoscope: another Actoscope runs on the data folder {tmp_path}: stop it, or set" in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_data_folder_on_a_file_system_without_locks_ends_the_start_with_a_sentence(tmp_path: Path):
    status, said = serve_on(tmp_path, "without locks")
    assert status == 1
    assert f"actoscope: the file system of {tmp_path} does not lock files (No locks available): set ACTOSCOPE" in said
    assert "Traceback" not in said


def test_database_that_cannot_be_read_ends_the_start_with_a_sentence(tmp_path: Path):
    (tmp_path / "actoscope.db").write_bytes(b"no database, but long enough to be taken for one" * 100)
    status, said = serve_on(tmp_path)
    assert status == 1
    assert "actoscope: database: file is not a database" in said
    assert "Traceback" not in said
