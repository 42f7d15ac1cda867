from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.store.address import Address, Place
from models.store.opening import open_store
from models.store.protocol import Store
from tests.support.s3 import CREDENTIALS, FaultProxy, moto_server, new_bucket


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of S3 on this machine."""
    with moto_server(tmp_path_factory.mktemp("moto")) as url:
        yield url


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(aws: str, credentials: None) -> str:
    return new_bucket(aws)


@pytest.fixture
def s3_store(aws: str, bucket: str) -> Store:
    return open_store(Address(bucket, "some/prefix"), aws)


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """One of each kind, empty."""
    if request.param == "folder":
        return open_store(tmp_path / "store")
    store: Store = request.getfixturevalue("s3_store")
    return store


@pytest.fixture
def proxy(aws: str) -> Iterator[FaultProxy]:
    """Before S3."""
    with FaultProxy(aws) as proxy:
        yield proxy


@pytest.fixture
def shaky(proxy: FaultProxy, bucket: str) -> Store:
    """A store behind the proxy."""
    place: Place = Address(bucket)
    return open_store(place, proxy.url)
