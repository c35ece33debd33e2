"""What projects and workloads use, kept over time."""
