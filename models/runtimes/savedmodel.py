"""Running a network's SavedModel in TensorFlow: from its export, or from a folder written at the first start.

The saved graph holds all that the network needs: neither its Keras file nor this package's layers are read.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from models.conversion.formats import SERVED_FUNCTION
from models.errors import CardError, RuntimeUnavailableError
from models.runtimes.converted import ready
from models.runtimes.runner import Precision, RuntimeOptions
from models.runtimes.tensorflow import TensorFlowRunner, limit_threads, prepare_gpus
from models.weights.cards import MODEL_FILE, ClipShape, ModelCard
from models.weights.export_record import ExportFormat


def load(card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions) -> TensorFlowRunner:
    """→ runner. Precision is f32. Raises RuntimeUnavailableError, CardError, ExportError."""
    found = ready(card, ExportFormat.SAVEDMODEL, clip_shape, options)
    return open_file(found.path, options, card.num_classes)


def open_file(path: Path, options: RuntimeOptions, num_classes: int) -> TensorFlowRunner:
    """→ runner of a SavedModel.

    Raises RuntimeUnavailableError when TensorFlow refuses it, CardError when it has other classes.
    """
    gpu = prepare_gpus()
    if options.threads is not None:
        limit_threads(options.threads)
    try:
        saved = tf.saved_model.load(str(path))
        serve = getattr(saved, SERVED_FUNCTION)
        signature = tuple(serve.input_signature)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise RuntimeUnavailableError(f"TensorFlow cannot load {path}: {error}") from error
    function = tf.function(lambda *inputs: serve(*inputs)["logits"], input_signature=signature, autograph=False)
    classes = function.get_concrete_function().output_shapes[-1]
    if classes != num_classes:
        raise CardError(f"the network of {MODEL_FILE} has {classes} classes in {path}, its card says {num_classes}")
    runner = TensorFlowRunner(function, tuple(signature[0].shape[1:]), Precision.F32, gpu)
    runner.description = runner.description.replace("TensorFlow", "SavedModel in TensorFlow")
    return runner
