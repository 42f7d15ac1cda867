"""Pages in a real Chromium over the real application."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from service.access.accounts import Actor
from service.rights import LOCAL, Grant, Role
from tests.service.conftest import RunningApi
from tests.support.chromium import chromium

PASSWORD = "correct horse battery"
AT_THE_ROOT_AND_BELOW = ("", pytest.param("/a/cameras", marks=pytest.mark.exhaustive))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """It ends with its file."""
    with chromium() as running:
        yield running


@pytest.fixture(params=[""])
def root_path(request: pytest.FixtureRequest) -> str:
    """Below which the page is; empty but for tests that say otherwise."""
    path: str = request.param
    return path


@pytest.fixture
def api(run_api: Any, root_path: str) -> RunningApi:
    api: RunningApi = run_api(root_path=root_path)
    return api


@pytest.fixture
def visit(browser: Any, api: RunningApi, root_path: str) -> Iterator[Callable[[str], Any]]:
    """Opens a path; the test fails if the browser complains of anything but refused requests."""
    context = browser.new_context()
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" and not _refusal(m.text) else None)

    def go(path: str) -> Any:
        page.goto(f"{api.url}{root_path}{path}")
        return page

    yield go
    context.close()
    assert complaints == []


def _refusal(text: str) -> bool:
    """Requests are refused or there is no picture, and a websocket without rights is refused with them."""
    return "status of 4" in text or "status of 503" in text or _is_refused_websocket(text)


def _is_refused_websocket(text: str) -> bool:
    return "WebSocket" in text and ("401" in text or "HTTP Authentication failed" in text)


@pytest.fixture
def page(visit: Callable[[str], Any]) -> Any:
    """The page of an empty service."""
    page = visit("")
    page.get_by_text("ready", exact=True).wait_for()
    return page


def jpeg() -> bytes:
    done, data = cv2.imencode(".jpg", np.full((48, 64, 3), 200, np.uint8))
    assert done
    return bytes(data)


def add_user(api: RunningApi, name: str, role: Role = Role.ADMIN, streams: str = "*") -> str:
    """→ the user's id. The first one ends what this machine may without."""
    accounts = api.context.access.accounts
    user = api.call(accounts.add(Actor(LOCAL), name, PASSWORD, (Grant(role, streams),)))
    return str(user.id)


def log_in(page: Any, name: str, password: str = PASSWORD) -> None:
    """On the log-in page."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
