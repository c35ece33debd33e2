"""The loops that make objects so: deployments, replica sets, endpoints and their kin. All of them: run_all.py.

Nothing is imported here: a node's agent shares a module or two with them, and has no use for the rest."""
