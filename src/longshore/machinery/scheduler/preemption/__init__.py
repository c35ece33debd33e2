"""Making room: which pods have to go so that one of a higher priority finds a node."""
