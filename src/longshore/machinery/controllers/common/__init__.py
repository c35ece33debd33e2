"""What several controllers know: owners, pods, selectors, settings."""
