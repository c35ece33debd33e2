"""A node that is shut down ends its pods in order: plan.py says whose turn it is, run.py ends them."""
