"""Node-pressure eviction: whose turn it is to go when the node runs short (kubernetes.io: Node-pressure Eviction)."""
