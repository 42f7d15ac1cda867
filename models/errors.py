"""Every error this package raises on purpose. Each also inherits the builtin that a caller would expect."""

from __future__ import annotations

import pickle


class ModelsError(Exception):
    """Base of all errors raised by ``models``."""


class UnknownModelError(ModelsError, LookupError):
    """No network or weights folder of this name is known. The message lists the names that are."""


class CardError(ModelsError, ValueError):
    """A weights folder is incomplete, corrupt or contradicts itself. The message names the file and what is wrong."""


class RuntimeUnavailableError(ModelsError, RuntimeError):
    """The runtime asked for cannot run here (unknown, not installed, or the network could not be converted for it)."""


class ExportError(ModelsError, RuntimeError):
    """A network could not be exported, or an export is broken. The message says which, and what the converter said."""


class PullError(ModelsError, RuntimeError):
    """Weights could not be fetched or written. The message says what a person can do about it."""


class ChecksumError(PullError, ValueError):
    """A file is not the one it should be. The message holds the expected and the actual sha256."""


class UnsafeCheckpointError(PullError, pickle.UnpicklingError):
    """A checkpoint asks for something other than numpy arrays, or is no checkpoint at all."""


class DatasetError(ModelsError, ValueError):
    """A data set, or a file it is made from, is incomplete or contradicts itself. The message says where and how."""


class UnreadableFileError(DatasetError):
    """One file of many is missing, damaged or not to be opened; a tool that takes many tells of it and goes on."""


class TrainingError(ModelsError, ValueError):
    """A training cannot start or go on as configured. The message lists everything that is wrong at once."""


class EvaluationError(ModelsError, ValueError):
    """Something cannot be evaluated as asked. The message lists everything that is wrong at once."""


class FlowUnavailableError(ModelsError, RuntimeError):
    """OpenCV was built without the optical flow asked for. The message says what to install or use."""


class OverlapUnsupportedError(ModelsError, ValueError):
    """Overlapping clips cannot share work in this network, clip length, runtime or memory. The message says why."""


class StoreError(ModelsError, RuntimeError):
    """A store cannot do what it was asked for. The message says which, where, and what a person can do about it."""


class StoreUnavailableError(StoreError):
    """The store cannot be reached, or has no time: later it may do the very same."""


class StoreConflictError(StoreError):
    """What was to be replaced is not what is there: somebody else has written meanwhile."""


class StoreDamagedError(StoreError):
    """What is there, or was to be kept, is not what its hash says."""


class NotStoredError(StoreError, LookupError):
    """There is nothing of this key in the store."""
