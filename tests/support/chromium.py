"""A real browser for tests of pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# The headless shell has no windows: a page in it costs a quarter of what it costs in the whole browser.
NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-proxy-server"]


@contextmanager
def chromium() -> Iterator[Any]:
    """The one that ACTOSCOPE_TEST_CHROMIUM names, the system's or Playwright's own. Skips the test where there is none.

    Its loop bars others meanwhile.
    """
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    installed = (shutil.which(name) for name in NAMES)
    path = os.environ.get("ACTOSCOPE_TEST_CHROMIUM") or next(filter(None, installed), None)
    with sync_api.sync_playwright() as playwright:
        if path is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium here")
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()
