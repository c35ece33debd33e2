"""Floor 5: composition. Configuration in, running processes out."""
