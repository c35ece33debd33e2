"""Ranges of pod addresses: one for every node."""
