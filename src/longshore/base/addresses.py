"""Which addresses a cluster uses. IPv4 only, and all of them exist only inside its own namespaces,
so they need not be free on the machine.

The pod range is the one k3s users know, the service range upstream's; the LAN's is Longshore's own.
"""

from __future__ import annotations

CLUSTER_DOMAIN = "cluster.local"
LAN_RANGE = "10.90.0.0/16"
POD_RANGE = "10.42.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"
# The first of the service range is the API server's own Service; the tenth answers for names.
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_ADDRESS = "10.96.0.10"
# Where agents and pods find the API server on a local cluster's LAN.
LAN_GATEWAY = "10.90.0.1"
API_PORT = 6443
# Where a node answers the server, as every kubelet does.
NODE_API_PORT = 10250
