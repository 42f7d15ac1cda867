"""One service for all tests that do not break it, so that models are loaded once. One machine, or a cluster
(``ACTOSCOPE_TEST_MODE=cluster``, ``make test-cluster``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.settings import Settings
from tests.e2e.single_machine import reason_of
from tests.service.scripted import ScriptedSupervisor
from tests.service.tiny_model import tiny_weights  # noqa: F401
from tests.support.cluster_service import MODE, ClusterService, new_database
from tests.support.leading import leading, led_by
from tests.support.places import REPOSITORY
from tests.support.postgres import postgres_url  # noqa: F401
from tests.support.service import Service

# Converted models are kept between test runs: a conversion takes a minute, and its key holds every version.
CACHE = REPOSITORY / ".cache" / "tests"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.e2e)
            if item.get_closest_marker("timeout") is None:  # a file's own counts
                item.add_marker(pytest.mark.timeout(420))
            reason = reason_of(item.path.name, getattr(item, "originalname", item.name))
            if MODE == "cluster" and reason:
                item.add_marker(pytest.mark.skip(reason=reason))


NewService = Callable[..., Service]  # its folder, and settings by name


@pytest.fixture(scope="session")
def new_service(request: pytest.FixtureRequest) -> NewService:
    """→ a service in a folder, not started."""
    if MODE != "cluster":
        return lambda folder, **settings: Service(folder, CACHE, **settings)
    server: str = request.getfixturevalue("postgres_url")
    return lambda folder, **settings: ClusterService(folder, CACHE, new_database(server), **settings)


InMode = Callable[[Settings, type[ScriptedSupervisor]], Settings]


@pytest.fixture(scope="module")
def in_mode(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InMode]:
    """→ settings of an application in this process, with the supervisor that it is to have → those of the mode."""
    with ExitStack() as stack:

        def of_cluster(settings: Settings, supervisor: type[ScriptedSupervisor]) -> Settings:
            stack.enter_context(led_by(supervisor))
            server: str = request.getfixturevalue("postgres_url")
            return leading(settings, tmp_path_factory.mktemp("leading"), new_database(server))

        yield of_cluster if MODE == "cluster" else lambda settings, _: settings


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, new_service: NewService) -> Iterator[Service]:
    with new_service(tmp_path_factory.mktemp("service"), segment_s="10") as running:
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
def quick_service(
    tmp_path_factory: pytest.TempPathFactory, quick: dict[str, str], new_service: NewService
) -> Iterator[Service]:
    with new_service(tmp_path_factory.mktemp("quick"), segment_s="10", **quick) as running:
        yield running


@pytest.fixture
def own_service(tmp_path: Path, new_service: NewService) -> Iterator[Service]:
    """A service that the test may break; not started."""
    mine = new_service(tmp_path, segment_s="5")
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
