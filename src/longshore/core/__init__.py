"""Floors 1-3: the waist of the hourglass. Objects, store, watch and registry."""
