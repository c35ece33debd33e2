"""Devices of the node: what plugins and drivers offer, which container has which, and how it gets them."""
