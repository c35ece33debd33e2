"""Pods leave devices that are tainted NoExecute."""
