"""Routes from one machine's pods to those of others: plan.py says which, run.py keeps them."""
