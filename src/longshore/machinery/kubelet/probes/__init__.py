"""Probes and hooks of containers: how results add up (plan.py), how they are come by (run.py)."""
