"""A cluster's configuration against the CIS Kubernetes Benchmark and the Pod Security Standards."""
