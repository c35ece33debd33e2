"""Nodes and pods without machines, which live by the same lifecycle."""
