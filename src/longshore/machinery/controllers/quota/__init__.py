"""What is used of each ResourceQuota, reported in its status."""
