"""Exercises by the forerunner's recipe: new layers alone, Adam at 5e-4, an L2 penalty of 0.25, one clip at a time.

    python benchmarks/workout.py     # every source held out once, beside models/configs/workout.py and k-NN
    actoscope train models/configs/roads/workout_seed.py --data runs/workout/data

Data, network and features are those of ``models/configs/workout.py``; the recipe is not.

Measured (74 videos, 17 sources, each held out once; 95 % intervals by source): accuracy 0.878 [0.662, 1.000], recall of
squats 0.308. ``models/configs/workout.py``: 0.986 [0.943, 1.000] and 0.923.
"""

from dataclasses import replace

from models.configs.workout import CONFIG as OURS
from models.training.config import LossConfig, OptimizerConfig, OptimizerKind, ScheduleConfig, TrainConfig

CONFIG: TrainConfig = replace(
    OURS,
    name="workout-seed",
    loss=LossConfig(class_weights="", l2=0.25),
    optimizer=OptimizerConfig(kind=OptimizerKind.ADAM, learning_rate=5e-4),
    schedule=ScheduleConfig(decay="constant", warmup_epochs=0),
    epochs=10,
    batch_size=1,
    description=__doc__ or "",
)
