"""The network room: plans by value, and the real thing in namespaces where the machine allows."""
