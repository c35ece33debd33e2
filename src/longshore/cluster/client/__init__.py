"""A running cluster, asked from outside."""
