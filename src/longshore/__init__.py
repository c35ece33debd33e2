"""Longshore: one container platform, with Kubernetes' API at the centre."""

__version__ = "0.1.0"
