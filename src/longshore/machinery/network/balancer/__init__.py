"""The local load balancer: services on the machine's own loopback, spliced into the cluster's LAN.

plan.py decides which ports are wanted, splice.py moves bytes, run.py listens and tells.
"""
