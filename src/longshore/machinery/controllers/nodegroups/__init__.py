"""Groups of nodes that grow for pods without a place, and shrink when nodes are not needed any more
(cluster-autoscaler of kubernetes/autoscaler)."""
