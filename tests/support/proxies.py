"""nginx and Caddy as subprocesses, each with an example of docs/proxy.md aimed at ports of this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.places import REPOSITORY
from tests.support.service import free_port, wait_for

_NGINX = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    {temporary}
    include {folder}/actoscope.conf;
}}
"""


def examples(language: str) -> list[str]:
    """→ the blocks of this language in docs/proxy.md: for a host of its own, below a path."""
    return re.findall(rf"```{language}\n(.*?)```", (REPOSITORY / "docs" / "proxy.md").read_text(), re.DOTALL)


@contextmanager
def proxy(program: str, example: str, service_port: int, folder: Path) -> Iterator[str]:
    """Runs it as long as the context lasts. → ``http://127.0.0.1:PORT``."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/bin")
    if path is None:
        pytest.skip(f"{program} is not installed")
    port = free_port()
    assert "127.0.0.1:8000" in example
    aimed = example.replace("127.0.0.1:8000", f"127.0.0.1:{service_port}")
    command = (_nginx if program == "nginx" else _caddy)(path, aimed, port, folder)
    with (folder / "log").open("wb") as log:
        environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: _answers(url, process), 30, f"{program} answers; {(folder / 'log').read_text()[-1000:]}")
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the proxy ended"
    try:
        return httpx.get(url, trust_env=False).status_code > 0
    except httpx.TransportError:
        return False


def _nginx(path: str, example: str, port: int, folder: Path) -> list[str]:
    assert "listen 80;" in example
    (folder / "actoscope.conf").write_text(example.replace("listen 80;", f"listen 127.0.0.1:{port};"))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n    ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_NGINX.format(user=user, folder=folder, temporary=temporary))
    return [path, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


def _caddy(path: str, example: str, port: int, folder: Path) -> list[str]:
    aimed, count = re.subn(r"^[a-z.]*example \{", f"http://127.0.0.1:{port} {{", example)
    assert count == 1
    (folder / "Caddyfile").write_text("{\n\tadmin off\n}\n" + aimed)
    return [path, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
