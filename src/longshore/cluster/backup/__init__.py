"""A cluster in one file: how it is written while the cluster runs, and how a cluster is made of it."""
