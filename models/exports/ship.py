"""A network's OpenVINO graph written beside its ``model.keras`` and named on its card (``weights.shipped_graph``).

For networks that go to people: it saves each of them a conversion with TensorFlow at the first start.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from models.conversion.convert import convert
from models.conversion.formats import FORMATS, HALF_WEIGHTS
from models.errors import ExportError
from models.exports.export import ExportJob, Say
from models.exports.parity import Progress, measure
from models.runtimes.load import load_runner
from models.runtimes.openvino import open_file
from models.runtimes.runner import Precision, RuntimeOptions
from models.weights.cards import CARD_FILE, ModelCard
from models.weights.export_record import ExportFormat, Parity
from models.weights.network_input import network_shape
from models.weights.shipped_graph import GRAPH_FILE, GRAPH_FILES
from pipeline.files import file_sha256, write_atomically


def ship(job: ExportJob, say: Say, progress: Progress | None = None) -> tuple[ModelCard, Parity]:
    """Convert, compare with the network on ``job.clips``, keep → the new card, and how close the graph comes.

    The card's ``runtime`` becomes ``openvino``: ``auto`` then measures nothing. Raises ExportError for another format
    than OpenVINO, and, with everything left as it was, where fewer first choices are the network's than an export needs
    to be used by default; CardError for a broken folder, OSError when the disk fails.
    """
    if job.format is not ExportFormat.OPENVINO:
        raise ExportError(f"only {ExportFormat.OPENVINO.value} is shipped beside a network, not {job.format.value}")
    card = job.card
    with tempfile.TemporaryDirectory(prefix=".ship-", dir=card.folder) as work:
        fresh = Path(work) / GRAPH_FILE
        say(f"converting {card.name} to OpenVINO, weights in half precision")
        convert(FORMATS[job.format], HALF_WEIGHTS, card, network_shape(card), fresh)
        parity = _parity(job, fresh, say, progress)
        if not parity.passes:
            raise ExportError(
                f"only {parity.top1_agreement:.2%} of the first choices are {card.name}'s: nothing is kept"
            )
        for name in GRAPH_FILES:
            fresh.with_name(name).replace(card.folder / name)
    return _named(card), parity


def _parity(job: ExportJob, graph: Path, say: Say, progress: Progress | None) -> Parity:
    options = RuntimeOptions(precision=Precision.F32, threads=job.threads)
    runner = open_file(graph, Precision.F32, options)
    reference = load_runner(job.card, "tensorflow", options)
    say(f"comparing {runner.description} with {reference.description} on {len(job.clips)} clips: {job.clips.source}")
    return measure(reference, runner, job.clips, progress)


def _named(card: ModelCard) -> ModelCard:
    """→ the card with the files in its folder, written there."""
    sums = {**card.sha256, **{name: file_sha256(card.folder / name) for name in GRAPH_FILES}}
    named = card.model_copy(update={"sha256": sums, "runtime": "openvino"})
    write_atomically(card.folder / CARD_FILE, named.model_dump_json(indent=2) + "\n")
    return named
