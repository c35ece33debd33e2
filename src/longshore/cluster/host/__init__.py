"""What runs on a machine beside our servers and agents, and how processes are found and ended."""
