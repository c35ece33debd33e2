"""What projects and workloads used over time: how it is kept, added up, and what follows from it. Pure."""
