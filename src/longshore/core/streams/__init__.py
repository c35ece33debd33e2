"""Protocols for live talk between a door and a node: logs now, exec and attach later."""
