"""The local cluster of `longshore up`."""
