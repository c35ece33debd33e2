"""Floor 4: what makes the cluster so. Loops that meet one another only in objects."""
