"""Queues of tenants, which share a cluster fairly."""
