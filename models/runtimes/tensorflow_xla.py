"""Running a saved network in TensorFlow compiled by XLA: for GPUs.

On CPUs XLA's 3D convolutions are slow: SE-I3D on a 64×224² clip takes five times the CPU time of TensorFlow without it
(4.9 s against 0.95 s on the same two cores). ``auto`` therefore tries this runtime only where there is a GPU.
"""

from __future__ import annotations

from models.runtimes.runner import ClipShape, RuntimeOptions
from models.runtimes.tensorflow import TensorFlowRunner
from models.runtimes.tensorflow import load as load_tensorflow
from models.weights.cards import ModelCard


def load(card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions) -> TensorFlowRunner:
    """→ runner; loading compiles every batch size that calls are cut into. Raises as ``runtime_tensorflow.load``."""
    return load_tensorflow(card, clip_shape, options, xla=True)
