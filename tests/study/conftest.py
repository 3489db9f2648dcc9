"""The real rater matrices of tests/opinions."""

from tests.opinions.conftest import ratings_folder

__all__ = ["ratings_folder"]
