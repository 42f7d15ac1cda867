"""Which nodes classify clips of others, as each node hears of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.cluster.agent import lenders
from service.cluster.agent.lenders import lending_setup
from service.processes.nodes import Borrow, Lender
from service.settings import Settings
from service.storage.cluster import nodes
from tests.service.cluster.world import World, in_world, until


def test_a_node_hears_who_lends_and_who_does_not_any_more(
    cluster_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lenders, "LOOK_S", 0.1)

    async def work(world: World) -> None:
        yard, gpu = await world.add_node("yard"), await world.add_node("gpu")
        alone = await world.add_node("alone", cluster_borrow="never")
        gpu.lends_at = "10.0.0.12:4711"
        await until(lambda: yard.lenders == (Lender("gpu", "10.0.0.12:4711"),), "the one is told of the other")
        assert (gpu.lenders, alone.lenders) == ((), ())
        await world.nodes["yard"].database.write(lambda session: nodes.set_draining(session, "gpu", True))
        await until(lambda: yard.lenders == (), "one that is drained is to be free of work")

    in_world(cluster_url, tmp_path, work)


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.token"
    path.write_text("0123456789abcdef" * 4 + "\n")
    return path


@pytest.mark.parametrize(
    ("classify", "gpus", "host"),
    [("auto", 0, ""), ("auto", 2, "10.0.0.12"), ("always", 0, "10.0.0.12"), ("never", 2, "")],
)
def test_who_lends_is_said_by_the_setting_or_by_a_gpu(
    classify: Any, gpus: int, host: str, token: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "gpus"
    for number in range(gpus):
        (folder / str(number)).mkdir(parents=True)
    monkeypatch.setattr(lenders, "GPUS", folder)
    settings = Settings(cluster_classify=classify, cluster_host="10.0.0.12", node="gpu-1", cluster_borrow="always")
    setup = lending_setup(settings, token)
    assert (setup.host, setup.name, setup.borrow) == (host, "gpu-1", Borrow.ALWAYS)
    assert setup.token == token.read_text().strip()
    assert setup.token not in repr(setup)
