"""The real rater matrices of tests/opinions, and a small frozen study."""

from tests.opinions.conftest import ratings_folder
from tests.study.frozen import frozen_study

__all__ = ["frozen_study", "ratings_folder"]
