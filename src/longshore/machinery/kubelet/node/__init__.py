"""The node as an object: what it says of itself (plan.py), and keeping it said (run.py)."""
