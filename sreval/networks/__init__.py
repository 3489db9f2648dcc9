"""The networks as their papers draw them, and the files their weights are kept in."""
