"""A small frozen study."""

from tests.study.frozen import frozen_study

__all__ = ["frozen_study"]
