"""Scenarios of a cluster that lives: each is done to one cluster of three nodes, and leaves it as it found it."""
