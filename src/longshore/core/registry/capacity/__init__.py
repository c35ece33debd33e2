"""Who has what of each node, so that no two are given the same."""
