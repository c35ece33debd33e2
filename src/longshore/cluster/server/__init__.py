"""The server process, put together."""
