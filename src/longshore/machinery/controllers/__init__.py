"""The loops that make objects so: deployments, replica sets, endpoints and their kin."""
