"""Stem reuse on OpenVINO: the converted graph is cut after its second max pool and compiled in pieces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from models.errors import OverlapUnsupportedError
from models.runtimes.overlap import HEAD_CROPS, SHIFTS, TAIL_CROPS, Features, usable_shifts
from models.runtimes.overlap_graph import feature_format, rest_graph, stem_graph
from models.runtimes.runner import Clips, Floats
from models.runtimes.stem_blocks import fold_stem


class OpenVinoParts:
    """The compiled pieces of one graph. Tails are compiled when a shift first asks for them.

    Raises OverlapUnsupportedError for a graph that is not I3D's or SE-I3D's, or has clips of no fixed or fitting shape.
    """

    time_axis = 2  # (1, 192, T/2, H/8, W/8)

    def __init__(
        self, graph: Path, properties: Mapping[str, Any], description: str, shifts: tuple[int, ...] = SHIFTS
    ) -> None:
        self.description = description
        self._core = ov.Core()
        self._properties = dict(properties)
        self._model = self._core.read_model(graph)
        if self._model.is_dynamic():
            raise OverlapUnsupportedError("stems are reused by graphs for one clip of a fixed shape; this one is open")
        self._format = feature_format(self._model, str(properties.get("INFERENCE_PRECISION_HINT", "f32")))
        self.frames = int(self._model.input(0).shape[1])
        self.shifts = usable_shifts(self.frames, shifts)
        self._stem = self._compile_stem(self.frames, at_begin=True, at_end=True)
        self._head = self._compile_stem(HEAD_CROPS, at_begin=True, at_end=False)
        self._tails: dict[int, Any] = {}
        self._rest = self._compile(rest_graph(self._model, self._format))
        self.clip_bytes = int(np.prod(self._shape(self._stem))) * np.dtype(self._format.dtype).itemsize
        self.rest(self.whole(np.zeros(tuple(self._model.input(0).shape), np.uint8)))  # prepares kernels and memory

    def whole(self, clip: Clips) -> Features:
        return self._features(self._stem, clip)

    def head(self, crops: Clips) -> Features:
        return self._features(self._head, crops)

    def tail(self, crops: Clips, shift: int) -> Features:
        if shift not in self._tails:
            self._tails[shift] = self._compile_stem(shift + TAIL_CROPS, at_begin=False, at_end=True)
        return self._features(self._tails[shift], crops)

    def rest(self, features: Features) -> Floats:
        self._rest.set_input_tensor(0, self._tensor(features))
        self._rest.infer()
        return np.array(self._rest.get_output_tensor(0).data, np.float32)  # a copy: the request reuses its memory

    def _features(self, request: Any, crops: Clips) -> Features:
        """Runs a stem into an array of its own."""
        features = np.empty(self._shape(request), self._format.dtype)
        request.set_output_tensor(0, self._tensor(features))
        request.infer([np.ascontiguousarray(crops)], share_inputs=True)
        return features

    def _tensor(self, features: Features) -> Any:
        return ov.Tensor(features, ov.Shape(features.shape), self._format.element)

    @staticmethod
    def _shape(request: Any) -> tuple[int, ...]:
        return tuple(request.model_outputs[0].shape)

    def _compile_stem(self, crops: int, at_begin: bool, at_end: bool) -> Any:
        return self._compile(stem_graph(self._model, crops, self._format, at_begin, at_end))

    def _compile(self, model: Any) -> Any:
        fold_stem(model, str(self._properties.get("INFERENCE_PRECISION_HINT", "")))
        try:
            return self._core.compile_model(model, "CPU", self._properties).create_infer_request()
        except RuntimeError as error:
            raise OverlapUnsupportedError(f"OpenVINO cannot compile a part of this network: {error}") from error
