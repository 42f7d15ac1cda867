"""The labelled people of weights/surveillance in their whole scenes: what a network sees that sees more than a crop.

The working folder is that of surveillance_light.py; rows labelled Unclear are emptied, since every label is a class:

    actoscope weights pull i3d-kinetics400
    sed -i 's/,Unclear,/,,/' work/labels.csv
    actoscope train models/configs/surveillance_scene.py --data work

Clips are 2.56 s, every second of 64 pictures: half the work of all. Most videos are shorter, and of six labelled people
one is seen so long: clips from 0.5 s on, played back and forth as the service's first ones are, are examples as well.

Measured by ``benchmarks/scenes.py``, which trains in the folds of the crops' tables (docs/ablations.md, "What the full
network's output reads") and leaves out Unclear by itself: macro F1 0.653 [0.548, 0.699] over the four classes, 0.804
[0.663, 0.855] over the first three; with boxes beside it 0.745 and 0.876. Crops of single people get 0.783 and 0.829
over four in the same folds, so no weights ship.
"""

from dataclasses import replace

from models.configs.scene import CONFIG as SCENE
from models.data.batches.clip_window import WindowConfig
from models.training.config import ClipInput, LossConfig

CONFIG = replace(
    SCENE,
    name="surveillance-scene",
    input=ClipInput(window=WindowConfig(32, speed=2.0), augment=None, hop=16, shortest=6),
    loss=LossConfig(label_smoothing=0.1, class_weights="root"),
    epochs=5,
    patience=0,
    weight_average=0.7,
    folds=5,
    refit_on="train+val",
    description=__doc__ or "",
)
