"""Keys, bytes and revisions on durable ground. Knows nothing of what the bytes mean."""
