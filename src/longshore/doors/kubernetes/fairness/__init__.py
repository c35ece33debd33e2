"""API priority and fairness (KEP-1040): to which flow schema and priority level a request belongs,
how many are let in at the same time, and whose turn it is among those that wait."""
