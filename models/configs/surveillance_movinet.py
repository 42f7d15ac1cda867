"""Causal MoViNet-A0 taught by I3D: what a network of constant cost a crop gets from random weights.

Data: that of ``surveillance_light.py``.

Command (five folds, then a network on everything; ``benchmarks/tiers.py`` takes the same folds one by one):

    actoscope train models/configs/surveillance_movinet.py --data work/dataset

As ``surveillance_shufflenet.py``, on the same clips. The trained network runs crop by crop with one state a track
(``models/networks/movinet_stream.py``), and says after the 16th crop what it says of the clip.

Not measured yet. An epoch over the 736 clips of a fold takes some 175 CPU s (TensorFlow float32, one thread of an AMD
EPYC with AVX-512).
"""

from dataclasses import replace

from models.configs.surveillance_shufflenet import CONFIG as SHUFFLENET
from models.training.config import NetworkConfig, TrainConfig, Unfreeze

CONFIG: TrainConfig = replace(
    SHUFFLENET,
    name="surveillance-movinet",
    network=NetworkConfig(kind="movinet_a0_stream", init="", options={"drop": 0.0}),  # few epochs: nothing is skipped
    transfer=replace(SHUFFLENET.transfer, unfreeze=(Unfreeze(0, "conv1"),)),
    epochs=8,
    description=__doc__ or "",
)
