"""Opinion studies: simulated raters, planning, and ratings from elsewhere. No Flask, no SQL."""
