"""A model that sees whole scenes, in ``actoscope annotate``: its tracks get labels, each by its own box."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from models.weights.cards import CARD_FILE, LABELS_FILE, MODEL_FILE, ModelCard, ModelInput
from pipeline.files import file_sha256
from tests.e2e.conftest import CACHE
from tests.e2e.test_annotate import excerpt
from tests.support.places import REPOSITORY
from tests.support.service import own_environment

LABELS = ("standing", "walking", "waving")
INPUT = ModelInput(kind="scene", frames=9, height=48, width=64)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder with the shipped person detector and ``scene``: a small Video Action Transformer, random weights."""
    from models.networks.registry import build

    folder = tmp_path / "weights" / "scene"
    folder.mkdir(parents=True)
    options = {"units": 8, "roi": 3, "layers": 1}
    model = build("action_transformer", len(LABELS), (INPUT.frames, INPUT.height, INPUT.width, 3), **options)
    with warnings.catch_warnings():
        # Keras 3.15 saves TensorFlow variables with np.array(variable), which NumPy 2 warns of.
        warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy", DeprecationWarning)
        model.save(folder / MODEL_FILE)
    (folder / LABELS_FILE).write_text("\n".join(LABELS) + "\n")
    card = ModelCard(
        name="scene",
        kind="action_transformer",
        num_classes=len(LABELS),
        input=INPUT,
        provenance="random weights of a test",
        licence="none",
        sha256={name: file_sha256(folder / name) for name in (MODEL_FILE, LABELS_FILE)},
    )
    (folder / CARD_FILE).write_text(card.model_dump_json())
    (tmp_path / "weights" / "person").symlink_to(REPOSITORY / "weights" / "person")
    return folder.parent


@pytest.mark.exhaustive
def test_annotate_with_a_model_of_scenes_labels_the_tracks(weights: Path, tmp_path: Path) -> None:
    video, events = excerpt(tmp_path / "street.mp4", frames=25), tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "service.cli", "annotate", str(video), "--model", "scene", "--quiet"]
    command += ["--events", str(events), "--hop", "16", "--output", str(tmp_path / "out.mp4")]
    # TensorFlow, since OpenVINO would first convert this network, which another test does.
    environ = {
        **own_environment(tmp_path, CACHE),
        "ACTOSCOPE_WEIGHTS_DIR": str(weights),
        "ACTOSCOPE_RUNTIME": "tensorflow",
    }
    result = subprocess.run(command, env=environ, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    heard = [json.loads(line) for line in events.read_text().splitlines()]
    last = [message for message in heard if message["type"] == "tracks"][-1]["tracks"]
    labelled = [track for track in last if track["action"]]
    assert len(labelled) >= 2, "several people were in view for longer than a clip"
    assert all(track["action"] in LABELS and track["buffer_size"] == INPUT.frames for track in labelled)
    assert len({json.dumps(track["scores"]) for track in labelled}) == len(labelled), "each is judged by its own box"
