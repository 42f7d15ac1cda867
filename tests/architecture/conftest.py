from __future__ import annotations

import pytest

from tests.architecture.source_tree import SourceTree
from tests.support.places import REPOSITORY


@pytest.fixture(scope="session")
def house() -> SourceTree:
    """The packages as they stand."""
    return SourceTree(REPOSITORY)
