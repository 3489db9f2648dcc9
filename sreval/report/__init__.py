"""Tables, figures and pages from benchmark results."""
