"""The audit log: who did what, as audit.k8s.io/v1 tells it (kubernetes.io/docs/tasks/debug/debug-cluster/audit)."""
