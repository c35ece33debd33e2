"""Volumes of a pod: what is in them (plan.py), how they come to be on the node (run.py)."""
