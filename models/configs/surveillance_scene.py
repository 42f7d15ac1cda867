"""The labelled people of weights/surveillance in their whole scenes: what a network sees that sees more than a crop.

The working folder is that of surveillance_light.py; rows labelled Unclear are emptied, since every label is a class:

    actoscope weights pull i3d-kinetics400
    sed -i 's/,Unclear,/,,/' work/labels.csv
    actoscope train models/configs/surveillance_scene.py --data work

Most videos last two seconds, so that one labelled person in six is seen in 64 pictures: clips from 12 on, played back
and forth as the service's first ones are, are examples as well, at the 12th picture and every 32.

Measured by ``benchmarks/scenes.py``, which trains in the folds of the crops' tables (docs/ablations.md, "What the full
network's output reads") and leaves out Unclear by itself. No weights ship.
"""

from dataclasses import replace

from models.configs.scene import CONFIG as SCENE
from models.training.config import ClipInput, LossConfig

CONFIG = replace(
    SCENE,
    name="surveillance-scene",
    input=ClipInput(augment=None, hop=32, shortest=12),
    loss=LossConfig(label_smoothing=0.1, class_weights="root"),
    epochs=6,
    patience=0,
    weight_average=0.7,
    folds=5,
    refit_on="train+val",
    description=__doc__ or "",
)
