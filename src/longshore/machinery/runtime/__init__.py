"""Containers and images behind one protocol, with the drivers oci and hollow."""
