"""The cache: current objects, a window of history, and a bounded fan-out of changes."""
