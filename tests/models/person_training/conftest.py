"""A small YOLO network with random weights, built from ultralytics' own plan of YOLO11n."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.person_training import yolo


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ultralytics keeps to itself; → its settings' folder."""
    folder = tmp_path_factory.mktemp("settings")
    yolo.quiet(folder)
    return folder


@pytest.fixture(scope="session")
def network(quiet: Path) -> Any:
    """YOLO11n for four classes; every value of its class branches differs, so that no mix-up can hide."""
    import torch
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(4)
    built = DetectionModel("yolo11n.yaml", nc=4, verbose=False).eval()
    built.names = {0: "bicycle", 1: "Person", 2: "car", 3: "cat"}
    for branch in built.model[-1].cv3:
        branch[-1].weight.data.normal_(0, 0.2)
        branch[-1].bias.data.normal_(0, 1)
    return built
