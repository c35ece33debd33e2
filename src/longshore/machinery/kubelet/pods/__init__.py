"""The workers: one for each pod, which carry out what its lifecycle wants next."""
