"""Floor 6: the longshore command."""
