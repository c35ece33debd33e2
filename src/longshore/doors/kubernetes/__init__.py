"""The Kubernetes API, a door like every other: routes.py a table, translate.py pure."""
