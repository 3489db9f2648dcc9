"""sreval: evaluation and opinion studies for super-resolution, from images to a result table."""

__version__ = "0.1.0"
