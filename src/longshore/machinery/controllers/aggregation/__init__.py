"""ClusterRoles that are the sum of others."""
