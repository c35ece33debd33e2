"""One pod on every node that a DaemonSet means."""
