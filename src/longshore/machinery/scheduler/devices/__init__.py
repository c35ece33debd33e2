"""Devices that pods claim: what drivers publish (pools.py), what is asked for (requests.py), and which
devices are given to it (allocator.py). Pure."""
