"""CPUs of their own for pods that ask for whole ones: the CPU manager's static policy (KEP-3570)."""
