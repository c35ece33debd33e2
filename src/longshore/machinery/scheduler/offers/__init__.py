"""Offers: capacity that is held for other schedulers, for a time."""
