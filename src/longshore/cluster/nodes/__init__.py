"""Nodes that are added to a local cluster, and removed from it, while it runs."""
