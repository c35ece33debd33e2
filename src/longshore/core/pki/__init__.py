"""Certificates and keys: the cluster's authority, what it is asked to sign, and TLS made of both."""
