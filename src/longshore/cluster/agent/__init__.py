"""The agent process of one node, and what it answers."""
