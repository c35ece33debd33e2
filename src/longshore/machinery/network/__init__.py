"""Links, addresses, service routing, names and the local load balancer of a cluster.

ranges       which addresses a cluster uses                       (pure)
netlink      the kernel's rtnetlink, packed by hand
namespaces   network namespaces that outlive their maker
lan          a cluster's LAN: one namespace for it, one per node
uplink       the way out for a LAN, through pasta
pods         a node's pod namespaces and addresses
services/    Services to nftables
policy/      NetworkPolicies to nftables
dns/         Services to names
balancer/    Services to ports on the machine's loopback
node         one node's share of all this, as one owner
"""
