"""Claims of devices are made for pods from templates, and given back when pods are done."""
