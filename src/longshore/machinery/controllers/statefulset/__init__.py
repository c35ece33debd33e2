"""Pods with names that stay: as many as a StatefulSet asks for, one by one or all at once."""
