"""The driver for runtimes that serve the CRI, version v1: containerd as of 1.6, and CRI-O.

Whoever imports run.py has gRPC in memory (some 10 MB): nodes with another driver do not.
"""
