"""What varies in intervals and tests where nobody says."""

from __future__ import annotations

from typing import Final

DEFAULT_UNIT: Final = "rater"
"""The unit of a study's plan, of ``sreval opinions`` and of tables: a claim on raters in general.

Over images no test on few images can be significant, whatever their votes: five give no p below
0.0625.
"""
