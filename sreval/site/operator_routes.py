"""The blueprint with all its pages and actions."""

from sreval.site import operator_deeds, operator_pages
from sreval.site.operator import operator

__all__ = ["operator", "operator_deeds", "operator_pages"]
