"""API priority and fairness (KEP-1040): to which flow schema and priority level a request belongs."""
