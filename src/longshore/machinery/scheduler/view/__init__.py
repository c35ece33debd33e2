"""The cluster in columns: one row a node, kept up to date change by change."""
