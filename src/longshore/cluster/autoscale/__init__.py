"""The autoscaler of nodes, put together: the scheduler judges, the local cluster provides."""
