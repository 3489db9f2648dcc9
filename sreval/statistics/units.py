"""What holds where nobody says, in the library, the commands and the site."""

from __future__ import annotations

from typing import Final

DEFAULT_UNIT: Final = "rater"
"""The unit of a study's plan, of ``sreval opinions`` and of tables: a claim on raters in general.

Over images no test on few images can be significant, whatever their votes: five give no p below
0.0625.
"""

STUDIES: Final = 500
"""How many studies are simulated for one figure of power: its standard error is 0.022 or less."""
