"""Choose nodes for pods, in batches."""
