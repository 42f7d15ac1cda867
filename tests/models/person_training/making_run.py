"""``python -m tests.models.person_training.making_run SHARED FOLDER``: ``make`` on a few frames, in its own process.

ultralytics' trainer loads triton, whose LLVM ends a process that has loaded TensorFlow before, as other tests have.
"""

from __future__ import annotations

import sys
from pathlib import Path

from models.person_training import yolo
from models.person_training.making import CardTexts, make
from models.person_training.recipe import PersonRecipe
from tests.support.places import SHARED

START = SHARED / "weights" / "yolo11n-coco" / "yolo11n-coco.pt"


def run(shared: Path, folder: Path) -> None:
    """Writes ``folder/work`` and ``folder/weights/person``; what is said goes to stdout."""
    yolo.quiet(folder / "settings")
    recipe = PersonRecipe(
        shared / "cameras",
        START,
        folder / "work",
        tuning=yolo.FineTuning(epochs=1, image_size=64, batch=2),
        teacher_sizes=(320,),
        shares=(0.0, 1.0),
        image_size=320,
    )
    make(recipe, shared, folder / "weights" / "person", CardTexts("a sample", "a test"), print)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
