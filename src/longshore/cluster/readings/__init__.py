"""What nodes and pods say of their use, read when somebody asks."""
