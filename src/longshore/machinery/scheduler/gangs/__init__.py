"""Pod groups: pods that run together, or not at all."""
