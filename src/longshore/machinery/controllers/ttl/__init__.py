"""Jobs that are over are deleted after a time (KEP-592)."""
