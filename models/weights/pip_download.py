"""Fetching a source archive with pip, so that the indexes, mirrors and proxies set for pip are honoured."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from models.errors import ChecksumError, PullError

TIMEOUT_S = 1800.0
_POLL_S = 0.3
_OFFLINE = (
    "Could not find a version",
    "NewConnectionError",
    "Temporary failure in name",
    "ConnectTimeout",
    "ProxyError",
)


def download_source(requirement: str, sha256: str, folder: Path, downloaded: Callable[[int], None]) -> Path:
    """Download the source archive of an exact version (``name==1.0``) into ``folder`` → its path.

    pip compares the sha256 before it runs the archive's own build script for metadata. That script needs setuptools:
    pip first fetches one into an isolated environment, and where that fails, this environment's own is used.
    ``downloaded`` hears the bytes so far. Raises ChecksumError, or PullError with pip's own last words.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n", "utf-8")
    name = requirement.partition("==")[0]
    # --no-binary for this package only: for all, pip would have to build the build tools themselves from source.
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-deps"]
    command += ["--no-cache-dir", "--progress-bar", "off", "--require-hashes", "--no-binary", name]
    command += ["--dest", str(folder), "--requirement", str(wanted)]
    code, text = _run(command, folder, downloaded)
    if code != 0 and not _is_final(text):
        code, text = _run([*command, "--no-build-isolation"], folder, downloaded)
    if code != 0:
        raise _explain(requirement, sha256, text)
    archives = sorted(folder.glob("*.tar.gz"))
    if len(archives) != 1:
        raise PullError(f"pip fetched {len(archives)} source archives of {requirement}, expected one")
    return archives[0]


def _run(command: list[str], folder: Path, downloaded: Callable[[int], None]) -> tuple[int, str]:
    """Run pip with its scratch files under ``folder`` → exit code and output."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment
    ) as process:
        watchdog = threading.Timer(TIMEOUT_S, process.kill)
        watchdog.daemon = True
        watchdog.start()
        lines: list[str] = []
        reader = threading.Thread(target=_drain, args=(process, lines), daemon=True)
        reader.start()
        try:
            while reader.is_alive():
                downloaded(_largest_file(folder))
                reader.join(_POLL_S)
        except BaseException:  # Ctrl-C and errors of the caller's progress alike: leave no pip behind
            process.kill()
            raise
        finally:
            watchdog.cancel()
    return process.returncode, "".join(lines)


def _drain(process: subprocess.Popen[str], lines: list[str]) -> None:
    lines.extend(process.stdout or ())


def _largest_file(folder: Path) -> int:
    """Bytes of the largest file below: the archive, as far as it has come; folders may vanish meanwhile."""
    largest = 0
    for root, _, names in os.walk(folder):  # passes over folders that are gone, where Path.rglob raises
        for name in names:
            try:
                largest = max(largest, Path(root, name).stat().st_size)
            except OSError:  # pip moved it between the listing and now
                continue
    return largest


def _is_final(text: str) -> bool:
    """Whether a second try without build isolation cannot help."""
    return "No module named pip" in text or "DO NOT MATCH THE HASHES" in text or "No space left" in text


def _explain(requirement: str, sha256: str, text: str) -> PullError:
    if "DO NOT MATCH THE HASHES" in text:
        got = re.search(r"Got\s+([0-9a-f]{64})", text)
        return ChecksumError(
            f"the archive of {requirement} has sha256 {got[1] if got else 'unknown'}, expected {sha256}: "
            "the package index serves something else than was published"
        )
    if "No module named pip" in text:
        return PullError(f"fetching {requirement} needs pip in this environment: run `{sys.executable} -m ensurepip`")
    if "No space left" in text:
        return PullError(f"fetching {requirement} failed: no space left on the device")
    errors = [line.strip() for line in text.splitlines() if "ERROR" in line] or text.strip().splitlines()[-1:]
    reason = re.sub(r"//[^/@\s]*@", "//***@", " ".join(errors[-2:]))  # an index URL may hold a password
    hint = "; is there a network, or a mirror set for pip?" if any(mark in text for mark in _OFFLINE) else ""
    return PullError(f"pip could not fetch {requirement}: {reason}{hint}")
