"""Cluster addresses of Services as objects: an IPAddress each, and ranges that say they are ready."""
