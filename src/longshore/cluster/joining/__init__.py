"""A machine comes into a cluster, and leaves it."""
