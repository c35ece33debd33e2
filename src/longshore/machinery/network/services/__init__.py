"""Service routing: ClusterIP, NodePort and LoadBalancer addresses to endpoints, by nftables.

plan.py decides which rules a service needs, book.py which of them change, nft.py says it in
nftables' language, run.py hands it to the kernel.
"""
