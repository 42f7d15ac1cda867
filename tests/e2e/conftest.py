"""One service for all tests that do not break it, so that models are loaded once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.tiny_model import tiny_weights  # noqa: F401
from tests.support.places import REPOSITORY
from tests.support.service import Service

# Converted models are kept between test runs: a conversion takes a minute, and its key holds every version.
CACHE = REPOSITORY / ".cache" / "tests"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(420))


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("service"), CACHE, segment_s="10") as running:
        yield running


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> dict[str, str]:  # noqa: F811
    """Settings of a service whose network answers at once and knows nothing: for what must be soon, whatever the
    processor can do."""
    weights = tmp_path_factory.mktemp("weights")
    (weights / "person").symlink_to(REPOSITORY / "weights" / "person")
    (weights / "quick").symlink_to(tiny_weights)
    return {"model": "quick", "weights_dir": str(weights)}


@pytest.fixture(scope="session")
def quick_service(tmp_path_factory: pytest.TempPathFactory, quick: dict[str, str]) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("quick"), CACHE, segment_s="10", **quick) as running:
        yield running


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[Service]:
    """A service that the test may break; not started."""
    mine = Service(tmp_path, CACHE, segment_s="5")
    yield mine
    mine.stop()
    mine.client.close()


@pytest.fixture(autouse=True)
def no_streams_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in {"service", "quick_service"} & set(request.fixturenames):
        running: Service = request.getfixturevalue(name)
        for stream in running.client.get("/v1/streams").json()["items"]:
            running.client.delete(f"/v1/streams/{stream['id']}")
