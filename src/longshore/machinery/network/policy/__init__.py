"""NetworkPolicies (networking.k8s.io/v1), enforced on the node where a pod is.

model.py reads documents, members.py knows which pods a selector means, plan.py decides what each
pod of the node lets in and out and what of that changes, nft.py says it in nftables' language,
sources.py learns of policies, pods and namespaces, run.py brings it to the kernel in time.
"""
