"""`longshore rebalance`: moves that would make a cluster more even, planned and, on request, made."""
