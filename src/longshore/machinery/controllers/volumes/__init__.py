"""Claims get volumes: binding and releasing (plan.py, run.py), claims of ephemeral volumes."""
