"""A network's OpenVINO graph beside its ``model.keras``, so that a first start needs neither TensorFlow nor a minute.

``openvino.xml`` and ``openvino.bin`` take uint8 clips of the card's shape; their weights are stored in half precision,
as the network's are. ``models.exports.ship`` writes them and names them on the card.
"""

from __future__ import annotations

import logging
from pathlib import Path

from models.weights.cards import ClipShape, ModelCard
from models.weights.network_input import network_shape
from pipeline.files import file_sha256

GRAPH_FILE, GRAPH_WEIGHTS_FILE = "openvino.xml", "openvino.bin"
GRAPH_FILES = (GRAPH_FILE, GRAPH_WEIGHTS_FILE)
_LOG = logging.getLogger(__name__)


def shipped_graph(card: ModelCard, clip_shape: ClipShape) -> Path | None:
    """→ the graph that came with the network; None where the card names none, for clips of another shape, and, with a
    warning, where a file is missing or not the one that the card names.
    """
    if not set(GRAPH_FILES) <= set(card.sha256) or clip_shape != network_shape(card):
        return None
    for name in GRAPH_FILES:
        path = card.folder / name
        if not path.is_file() or file_sha256(path) != card.sha256[name]:
            _LOG.warning("%s: %s is not the file that the card names: the network is converted anew", card.name, path)
            return None
    return card.folder / GRAPH_FILE
