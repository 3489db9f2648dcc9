"""Plan, run, results: (method, image, protocol, metric) to value, with hashes."""
