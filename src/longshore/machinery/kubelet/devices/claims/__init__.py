"""Claims of devices on their node: drivers prepare what the scheduler has allocated (KEP-4381)."""
