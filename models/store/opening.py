"""The store at a place. What speaks S3 is loaded where an address of S3 is opened, and only then."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

from models.errors import StoreError
from models.store.address import Address, Place
from models.store.folder import FolderStore
from models.store.protocol import Store

_S3 = "models.store.s3"  # the one module that imports boto3


def open_store(place: Place, endpoint: str = "") -> Store:
    """``endpoint``: of a service that is compatible with S3, empty for AWS. Nothing is asked of it yet.

    Raises StoreError where boto3 is not installed.
    """
    if isinstance(place, Path):
        return FolderStore(place)
    try:
        module = import_module(_S3)
    except ModuleNotFoundError as error:
        raise StoreError(f"{place} needs more packages: pip install -e '.[s3]' ({error})") from error
    return cast("Store", module.S3Store(place, endpoint))


def open_at(place: Place, endpoint: str = "") -> Store:
    """The store that ``place`` lies in: the whole bucket, or the folder."""
    return open_store(Address(place.bucket) if isinstance(place, Address) else place, endpoint)
