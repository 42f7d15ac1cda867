"""The person detector as OpenVINO reads it, shipped beside its ``.pt``, so that a first start converts nothing.

    python -m models.person_training.conversion weights/person

writes it into a folder that has none, or anew after its network has changed, and names it in the folder's card.
Batch, height and width stay open; weights are float16, which halves the file and is all that the ``.pt`` has.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import openvino as ov

from models.person_training.card import NETWORK_FILE, read_person_card, write_person_card
from pipeline.detector import DetectorConfig, conversion_files, exported, read_network
from pipeline.files import file_sha256


def write_conversion(network: Path) -> Mapping[str, str]:
    """Write the conversion of a ``.pt`` beside it → the checksums of all three files, for the card.

    Raises DetectorError when ultralytics cannot export the network.
    """
    graph, weights = conversion_files(network)
    with tempfile.TemporaryDirectory() as work:
        model, metadata = read_network(exported(network, DetectorConfig(cache_dir=Path(work))))
        for key in ("names", "stride"):
            model.set_rt_info(str(metadata[key]), ["framework", key])
        ov.save_model(model, graph, compress_to_fp16=True)
    return {file.name: file_sha256(file) for file in (network, graph, weights)}


def main(folder: Path) -> None:
    """Raises CardError for a folder without card or network, ChecksumError when they are not of each other."""
    card = read_person_card(folder)
    write_person_card(card.model_copy(update={"sha256": write_conversion(folder / NETWORK_FILE)}), folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
