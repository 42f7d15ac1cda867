from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.applications import densenet, efficientnet, inception_v3, resnet

from models.errors import PullError
from models.networks import registry
from models.networks.cnn_backbone import backbone_names, recolour
from models.networks.cnn_rnn import KINDS, backbone_layers, features_part, seen_frames, sequence_part, train_from
from tests.models.check_network import OverfitPlan, check_network, count_parameters, disturb, real_clips
from tests.models.small_backbone import PARAMETERS, SMALL, WIDTH, write_weights

SHAPE = (6, 32, 32, 3)
RNG = np.random.default_rng(2)


def small(kind: str = "cnn_gru", shape: tuple[int, int, int, int] = SHAPE, **options: Any) -> Any:
    return registry.build(kind, 3, shape, **{**SMALL, "units": (6, 5), **options})


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("backbone") / "small.weights.h5")


def numpy(x: Any) -> Any:
    return keras.ops.convert_to_numpy(x)


def pictures(shape: tuple[int, ...]) -> Any:
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def head_parameters(cell: str) -> int:
    """Behind the features: norm, two recurrent layers of 6 and 5 units, three logits."""
    sets, biases = {"gru": (3, 2), "lstm": (4, 1)}[cell]
    layers = ((WIDTH, 6), (6, 5))
    recurrent = sum(sets * units * (width + units + biases) for width, units in layers)
    return 2 * WIDTH + recurrent + 5 * 3 + 3


def test_cnn_gru_passes_the_network_check_with_all_of_it_learning() -> None:
    attention = 2 * WIDTH + 3 * (WIDTH + 1) * 128 - 128 + (128 + 1) * WIDTH
    check_network(
        lambda: small(attention=True, heads=2, frames=4, dropout=0.0, trainable_backbone=True),
        clip_shape=SHAPE,
        num_classes=3,
        parameters=PARAMETERS + head_parameters("gru") + attention,
        overfit=OverfitPlan(learning_rate=3e-3, eager=True),
    )


@pytest.mark.exhaustive
def test_cnn_lstm_passes_the_network_check_with_a_part_of_it_learning(weights: Path) -> None:
    model = check_network(
        lambda: small("cnn_lstm", weights=weights, dropout=0.0, trainable_backbone="conv_dw_4"),
        clip_shape=SHAPE,
        num_classes=3,
        parameters=PARAMETERS + head_parameters("lstm"),
        overfit=OverfitPlan(learning_rate=3e-3, eager=True),
    )
    assert {weight.path.split("/")[0] for weight in model.non_trainable_weights} >= {"conv1", "conv_pw_3"}


def attention_parameters(heads: int) -> int:
    """Norm, query, key without offset, value, output, of 64 channels a head."""
    inner = 64 * heads
    return 2 * WIDTH + 3 * (WIDTH + 1) * inner - inner + (inner + 1) * WIDTH


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("kind", "options", "parameters"),
    [
        ("cnn_attention", {"heads": 2}, attention_parameters(2)),
        (
            "cnn_transformer",
            {"heads": 1, "blocks": 2, "feed": 9},
            6 * WIDTH + 2 * (attention_parameters(1) + 2 * WIDTH + (WIDTH + 1) * 9 + (9 + 1) * WIDTH),
        ),
        ("cnn_average", {"hidden": 7}, (WIDTH + 1) * 7 + (7 - WIDTH) * 3),
    ],
)
def test_ends_without_recurrence_pass_the_network_check(
    kind: str, options: dict[str, Any], parameters: int, weights: Path
) -> None:
    check_network(
        lambda: small(kind, weights=weights, dropout=0.0, trainable_backbone="conv_dw_4", **options),
        clip_shape=SHAPE,
        num_classes=3,
        parameters=PARAMETERS + 2 * WIDTH + parameters + (WIDTH + 1) * 3,
        overfit=OverfitPlan(learning_rate=3e-3, eager=True),
    )


def ask(kind: str, features: Any, mask: Any) -> Any:
    """→ logits of an end with random weights for these features."""
    keras.utils.set_random_seed(3)
    model = small(kind)
    disturb(model)
    return numpy(sequence_part(model)({"features": features, "mask": mask}))


FEATURES = RNG.normal(size=(2, 6, WIDTH)).astype(np.float32)
ALL = np.ones((2, 6), bool)


@pytest.mark.parametrize(
    ("kind", "knows"),
    [
        ("cnn_gru", True),
        ("cnn_lstm", True),
        ("cnn_attention", False),
        ("cnn_transformer", True),
        ("cnn_average", False),
    ],
)
def test_recurrent_ends_and_the_transformer_know_the_order(kind: str, knows: bool) -> None:
    moved = np.abs(ask(kind, FEATURES, ALL) - ask(kind, FEATURES[:, ::-1], ALL)).max()
    assert bool(moved > 1e-3) is knows


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_padded_frames_hold_counts_for_nothing(kind: str) -> None:
    mask = ALL.copy()
    mask[:, 4:] = False
    other = FEATURES.copy()
    other[:, 4:] = 0
    np.testing.assert_allclose(ask(kind, FEATURES, mask), ask(kind, other, mask), atol=1e-5)
    assert np.abs(ask(kind, FEATURES, mask) - ask(kind, FEATURES, ALL)).max() > 1e-3


def test_cnn_gru_of_inception_has_2048_features_a_frame_and_the_published_parameters() -> None:
    model = registry.build("cnn_gru", 10, (2, 75, 75, 3))
    assert model.get_layer("Features").output.shape == (None, 2, 2048)
    head = 2 * 2048 + 3 * 256 * (2048 + 256 + 2) + 256 * 10 + 10
    assert count_parameters(model) == 21_802_784 + head  # Keras' documented InceptionV3, without its classifier
    assert np.isfinite(numpy(model(real_clips((2, 75, 75, 3))[:1] / np.float32(127.5) - 1))).all()


@pytest.mark.exhaustive
@pytest.mark.slow
def test_cnn_lstm_of_efficientnet_b7_has_2560_features_a_frame() -> None:
    model = registry.build("cnn_lstm", 10, (9, 32, 32, 3))
    assert model.get_layer("Features").output.shape == (None, 9, 2560)
    assert count_parameters(model) == 64_097_687 + 2 * 2560 + 4 * 256 * (2560 + 256 + 1) + 256 * 10 + 10


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_frames_of_zeros_at_the_end_count_as_nothing(cell: str, weights: Path) -> None:
    long, short = (
        small(f"cnn_{cell}", attention=True, weights=weights),
        small(f"cnn_{cell}", (4, 32, 32, 3), attention=True),
    )
    disturb(long)
    short.set_weights(long.get_weights())
    clip = pictures((2, *SHAPE))
    whole = numpy(long(clip))
    clip[:, 4:] = 0
    padded = numpy(long(clip))
    np.testing.assert_allclose(padded, numpy(short(clip[:, :4])), atol=1e-5)
    assert np.abs(padded - whole).max() > 1e-3
    assert np.isfinite(numpy(long(clip * 0))).all()


def test_longer_clips_are_thinned_evenly(weights: Path) -> None:
    long, short = small(frames=4, shape=(12, 32, 32, 3), weights=weights), small(shape=(4, 32, 32, 3))
    disturb(long)
    short.set_weights(long.get_weights())
    assert seen_frames(long) == [1, 4, 7, 10]
    clip = pictures((2, 12, 32, 32, 3))
    np.testing.assert_allclose(numpy(long(clip)), numpy(short(clip[:, seen_frames(long)])), atol=1e-5)


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_two_parts_together_are_the_network(kind: str, weights: Path) -> None:
    model = small(kind, attention=True, hidden=7, weights=weights)
    disturb(model)
    clip = pictures((2, *SHAPE))
    clip[1, 3:] = 0
    mask = np.array([[True] * 6, [True] * 3 + [False] * 3])
    features = numpy(features_part(model)(clip))
    assert features.shape == (2, 6, WIDTH)
    features[1, 3:] = 0  # as cached sequences are padded
    whole = numpy(sequence_part(model)({"features": features, "mask": mask}))
    np.testing.assert_allclose(whole, numpy(model(clip)), atol=1e-5)


def test_backbone_learns_from_the_layer_that_is_named() -> None:
    model = small(trainable_backbone="conv_dw_13")
    learning = [layer.name for layer in backbone_layers(model) if layer.trainable]
    assert learning == [
        *("conv_dw_13", "conv_dw_13_bn", "conv_dw_13_relu", "conv_pw_13", "conv_pw_13_bn", "conv_pw_13_relu"),
        "global_average_pooling2d",
    ]
    assert all(layer.trainable for layer in model.layers if layer.name in ("Norm", "Recurrent_1", "Logits"))
    with pytest.raises(ValueError, match=r"no layer 'conv_99'; there are .*conv1, "):
        train_from(model, "conv_99")


def test_names_do_not_depend_on_what_was_built_before() -> None:
    first, second = ([weight.path for weight in small().weights if "seed" not in weight.path] for _ in range(2))
    assert first == second and len(set(first)) == len(first)


def test_a_file_of_weights_is_taken_over(weights: Path, tmp_path: Path) -> None:
    kernels = [layer for layer in backbone_layers(small(weights=weights)) if layer.name == "conv_pw_13"]
    plain = keras.applications.MobileNet(
        input_shape=(32, 32, 3), alpha=0.25, include_top=False, weights=None, pooling="avg"
    )
    plain.load_weights(weights)
    np.testing.assert_array_equal(numpy(kernels[0].kernel), numpy(plain.get_layer("conv_pw_13").kernel))
    other = tmp_path / "other.weights.h5"
    keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)]).save_weights(other)
    with pytest.raises(ValueError, match=r"other\.weights\.h5 holds no weights of MobileNet without its classifier"):
        small(weights=other)
    with pytest.raises(ValueError, match=r"'imagenet' or a file; there is no file nowhere\.h5"):
        small(weights="nowhere.h5")


def test_imagenet_weights_without_a_network_say_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every connection goes to a port of this machine where nobody listens."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))  # keras has read the variable long ago
    with pytest.raises(PullError) as caught:
        small(weights="imagenet")
    text = str(caught.value)
    assert text.startswith("the ImageNet weights of MobileNet could not be fetched: ")
    assert str(tmp_path / "models") in text and "weights=FILE" in text and "weights=None" in text


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("InceptionV3", inception_v3),
        ("ResNet50", resnet),
        ("DenseNet121", densenet),
        ("EfficientNetB7", efficientnet),
    ],
)
def test_pictures_reach_a_backbone_as_its_own_preprocessing_makes_them(name: str, module: Any) -> None:
    picture = RNG.integers(0, 256, (1, 4, 4, 3)).astype(np.float32)
    found = numpy(recolour(name)(picture / np.float32(127.5) - np.float32(1)))
    np.testing.assert_allclose(found, module.preprocess_input(picture.copy()), rtol=1e-5, atol=2e-5)


def test_every_network_of_keras_applications_is_a_backbone() -> None:
    names = backbone_names()
    assert len(names) >= 38 and {"InceptionV3", "MobileNetV3Small", "NASNetMobile", "VGG16"} <= set(names)
    for name in names:
        assert len(recolour(name).scale) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "InceptionV9"}, "backbone must be one of .*InceptionV3.*got 'InceptionV9'"),
        ({"backbone": "InceptionV3", "backbone_options": {}}, r"InceptionV3 does not take pictures of \(32, 32, 3\)"),
        ({"backbone_options": {"beta": 1}}, "MobileNet does not take pictures of .*beta"),
        ({"units": ()}, "at least one recurrent layer"),
        ({"blocks": 0}, "expected blocks and feed from 1 on, got 0 and 256"),
        ({"frames": 0}, "expected num_classes, frames and heads from 1 on"),
        ({"colour": "blue"}, "cnn_gru has no such option: .*colour"),
    ],
)
def test_options_that_cannot_be_are_one_clear_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)
