"""Picture networks with a small end: features of the pictures are kept, the end learns from them with a mask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from models.networks.cnn_backbone import IMAGENET, BackboneConfig
from models.networks.cnn_rnn import (
    FEATURES,
    backbone_layers,
    configured,
    features_part,
    head_layers,
    seen_frames,
    sequence_part,
)
from models.training.config import Mode
from models.training.crops import Crops
from models.training.feature_cache import Frozen, short_key
from models.training.kinds.layered import Layered, content


@dataclass(frozen=True)
class Recurrent(Layered):
    """cnn_gru, cnn_lstm, cnn_attention, cnn_transformer and cnn_average (a ``Trainable``)."""

    @property
    def masks(self) -> bool:
        """Whether the end learns from features that are kept, one row a picture."""
        return bool(self.config.transfer.cache_at)

    @property
    def examples(self) -> Crops:
        return Crops(self.config, sequences=self.masks)

    def _check_options(self) -> None:
        """A file that is not there."""
        weights = self.config.network.options.get("weights")
        if weights not in (None, IMAGENET):
            BackboneConfig(weights=weights)

    def _shown_layers(self, model: Any) -> list[str]:
        return [layer.name for layer in backbone_layers(model)]

    def _cache_problems(self) -> Iterator[str]:
        cache = self.config.transfer.cache_at
        if cache != FEATURES:
            kind = self.config.network.kind
            yield f"transfer: {kind} caches at {FEATURES!r} (transfer=FRAME_FEATURES), not at {cache!r}"

    def _is_cut(self, model: Any) -> bool:
        """The mask passes by the features, and is kept with them."""
        return self.config.transfer.cache_at == FEATURES or super()._is_cut(model)

    def _new_layers(self, model: Any) -> list[Any]:
        return head_layers(model)

    def front(self, stream: Mode, model: Any) -> Frozen:
        network = self.config.network
        part, shape = features_part(model), str(self.examples.reader(stream).shape)
        about = configured(network.kind, 1, model.input_shape[1:], network.options)
        made = f"{about.backbone} {sorted(about.backbone_options.items())} {about.frames}"  # a head may be any
        pictures = () if self.config.input.repeat else tuple(seen_frames(model))
        return Frozen(part, stream, f"{about.backbone}-{short_key(content(part), made, shape)}", pictures)

    def head(self, model: Any, shape: tuple[int, ...]) -> Any:
        return sequence_part(model)
