"""Collect what has lost its owner, its node, or its use."""
