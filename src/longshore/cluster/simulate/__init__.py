"""`longshore simulate`: where workloads would land on nodes that need not exist."""
