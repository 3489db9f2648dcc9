"""The real rater matrices of tests/statistics."""

from tests.statistics.conftest import ratings_folder

__all__ = ["ratings_folder"]
