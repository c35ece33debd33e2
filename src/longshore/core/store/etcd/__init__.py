"""The store of many machines: an etcd v3 cluster, written to in transactions of many objects."""
