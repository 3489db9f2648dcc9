"""Paired comparisons: which of two pictures of one image a rater preferred, and what follows."""
