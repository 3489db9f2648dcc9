"""The rating site in Flask: the way of a rater from the link to the thanks."""
