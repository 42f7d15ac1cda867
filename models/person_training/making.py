"""The last steps of a recipe: choosing the network, measuring it against its start, and the weights folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from models.errors import TrainingError
from models.person_training import recipe as steps
from models.person_training.card import NETWORK_FILE, PersonCard, PersonFigures, write_person_card
from models.person_training.conversion import write_conversion
from models.person_training.evaluation import Matched
from models.person_training.ground_truth import annotated_pictures, annotated_video
from models.person_training.recipe import PersonRecipe, Pictures, Say
from models.person_training.report import KEPT_CONFIDENCES, Choice, choose, figures, table, write_figures
from pipeline.files import file_sha256, write_atomically

LARGEST_BYTES = 6_000_000
LIMITS = (
    "Upright people in surveillance views, about 15 pixels tall or more at the input size. Lying people, people in "
    "close contact (fights) and people behind glass are found less often; mannequins, reflections and posters are "
    "found too. The labels it learnt from are other networks' boxes, not people's. The class branch keeps the width "
    "of the 80-class network (80 channels): ultralytics' own training would rebuild it narrower for one class and "
    "lose it; fine-tune with `actoscope train-person --start person.pt`."
)
LICENCE = "AGPL-3.0 (ultralytics' network and training); see data for the videos' licences"


@dataclass(frozen=True)
class CardTexts:
    """What the card says in words."""

    data: str
    command: str
    recipes: Mapping[str, str] = field(default_factory=dict)


def final_pictures(shared: Path) -> dict[str, Pictures]:
    """The two sets that nothing was trained or chosen on, as far as they are there: name → pictures."""
    video, truth, sequences = shared / "pets" / "vtest.avi", shared / "pets" / "gt_every10.txt", shared / "mot17-mini"
    found: dict[str, Pictures] = {}
    if video.is_file() and truth.is_file():
        found["PETS09-S2L1"] = lambda: annotated_video(video, truth)
    if sequences.is_dir():
        found["MOT17-mini"] = lambda: annotated_pictures(sequences)
    return found


def make(recipe: PersonRecipe, shared: Path, output: Path, texts: CardTexts, say: Say) -> PersonCard:
    """Run every step that is not done yet and put network and card into ``output``.

    Raises DatasetError or TrainingError. ``shared`` holds ``pets`` and ``mot17-mini``, used for the final figures only.
    """
    final = final_pictures(shared)
    if not final:
        raise TrainingError(f"neither pets nor mot17-mini in {shared}: the network could not be measured")
    pictures = steps.make_pictures(recipe, say)
    files = steps.mixtures(recipe, steps.train(recipe, pictures, say))
    held_out = {
        share: steps.measure(file, pictures.name, steps.on_val(recipe, pictures), recipe)
        for share, file in files.items()
    }
    say("held-out pictures, labelled by the teacher:\n" + table({f"{share:.2f}": m for share, m in held_out.items()}))
    choice = choose(held_out)
    chosen = steps.with_old_confidences(recipe, files[choice.share], choice.rescoring)
    networks = {"start": steps.one_class_start(recipe), "chosen": chosen}
    measured = {
        name: {which: steps.measure(file, name, given, recipe) for which, file in networks.items()}
        for name, given in final.items()
    }
    rows = {f"{name}, {which}": found for name, of in measured.items() for which, found in of.items()}
    say(f"{choice.share:.2f} of the way is best; on the pictures kept for the end:\n" + table(rows))
    tried = {f"held-out, {share:.2f}": found for share, found in held_out.items()}
    write_figures({**tried, **rows}, recipe.work / "figures.json")
    return _store(recipe, chosen, choice, measured, output, texts)


def _store(
    recipe: PersonRecipe,
    network: Path,
    choice: Choice,
    measured: Mapping[str, Mapping[str, Matched]],
    output: Path,
    texts: CardTexts,
) -> PersonCard:
    size = network.stat().st_size
    if size > LARGEST_BYTES:
        raise TrainingError(f"the network has {size} bytes, more than the {LARGEST_BYTES} that may ship")
    output.mkdir(parents=True, exist_ok=True)
    write_atomically(output / NETWORK_FILE, network.read_bytes())

    def of(which: str) -> dict[str, PersonFigures]:
        return {name: figures(found[which], recipe.image_size) for name, found in measured.items()}

    card = PersonCard(
        name="person",
        architecture="YOLO11n, one class, float16",
        data=texts.data,
        licence=LICENCE,
        provenance=_provenance(recipe, choice),
        command=texts.command,
        seed=recipe.tuning.seed,
        share=choice.share,
        metrics=of("chosen"),
        start_metrics=of("start"),
        limits=LIMITS,
        recipes=texts.recipes,
        sha256=write_conversion(output / NETWORK_FILE),
    )
    write_person_card(card, output)
    return card


def _provenance(recipe: PersonRecipe, choice: Choice) -> str:
    witness = f", confirmed by {recipe.witness.name} (sha256 {file_sha256(recipe.witness)})" if recipe.witness else ""
    points = ", ".join(f"{share:.2f}: {score:.4f}" for share, score in sorted(choice.average_precisions.items()))
    tuning, (weak, strong) = recipe.tuning, KEPT_CONFIDENCES
    return (
        f"{recipe.start.name} (sha256 {file_sha256(recipe.start)}) reduced to its class person; fine-tuned for "
        f"{tuning.last_epoch} of {tuning.epochs} planned epochs at {tuning.image_size}, the first {tuning.freeze} "
        f"layers and all batch statistics fixed, learning rate {tuning.learning_rate:g}, batch {tuning.batch}, on "
        f"boxes that the start found at input sizes {', '.join(map(str, recipe.teacher_sizes))}{witness} and by the "
        f"given tracks; {choice.share:.2f} of the way from start to fine-tuned, chosen by average precision on "
        f"held-out source videos ({points}); its logits times {choice.rescoring[0]:.3f} plus "
        f"{choice.rescoring[1]:.3f}, so that on those it reports as many detections from {weak:g} and from {strong:g} "
        "on as its start."
    )
