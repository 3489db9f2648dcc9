"""Pure functions on arrays and frames: intervals, paired tests, multiplicity. No torch."""
