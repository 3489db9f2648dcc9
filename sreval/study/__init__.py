"""Opinion studies: designs, presentation plans, stimuli, checks, monitoring. No Flask, no SQL."""
