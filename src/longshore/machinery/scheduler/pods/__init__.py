"""What placement reads in a pod. Pure."""
