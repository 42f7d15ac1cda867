"""Fixtures of the networks' tests that measuring scripts need as well."""

from tests.models.conftest import tiny_folder

__all__ = ["tiny_folder"]
