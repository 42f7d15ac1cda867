"""Which Ray jobs run on."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from service.batch_jobs import ray_place as places
from service.batch_jobs.ray_place import RayPlace, ray_place
from service.cluster.links.errors import ClusterError
from service.settings import Settings
from service.storage.cluster.leader import Candidate, take_over
from service.storage.database import Database
from tests.service.storage.conftest import with_database


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The tokens that Ray's environment was made for; this process's own stays as it is."""
    tokens: list[Path] = []
    monkeypatch.setattr(places, "_enter", tokens.append)
    return tokens


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text("0" * 64)
    return path


def settings(token: Path, url: str) -> Settings:
    return Settings(cluster_token=token, cluster_host="127.0.0.9", database_url=SecretStr(url))


def test_api_that_leads_says_where_its_ray_is(cluster_url: str, token: Path, entered: list[Path]) -> None:
    async def lead(database: Database) -> None:
        who = Candidate("one", "http://one", "10.0.0.1:6379")
        await database.write(lambda session: take_over(session.connection(), who))

    async def fall_silent(database: Database) -> None:
        await database.write(lambda session: session.execute(text("UPDATE cluster_leader SET renewed_at = 0")))

    with_database(cluster_url, lead)
    with ray_place(settings(token, cluster_url), None) as found:
        assert found == RayPlace("10.0.0.1:6379", "127.0.0.9")
    assert entered == [token]
    with_database(cluster_url, fall_silent)
    with (
        pytest.raises(ClusterError, match="no API leads the cluster now"),
        ray_place(settings(token, cluster_url), None),
    ):
        pass


def test_address_that_is_named_needs_no_database(token: Path, entered: list[Path]) -> None:
    with ray_place(Settings(cluster_token=token), "10.0.0.2:6379") as found:
        assert found == RayPlace("10.0.0.2:6379")


def test_ray_of_this_machine_has_a_token_of_its_own_that_goes_with_it(entered: list[Path]) -> None:
    with ray_place(Settings(), "local") as found:
        assert found.is_local
        (token,) = entered
        assert stat.S_IMODE(token.stat().st_mode) == 0o600 and len(token.read_text()) == 64
    assert not token.exists()
