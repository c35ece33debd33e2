"""The store of many machines: an etcd v3 cluster, written to in transactions of many objects."""

import os

# gRPC's newer engine hands each answer through several threads, its older one through one: a call costs a
# tenth less of the processor and comes back sooner. Read once, when grpc is first imported; what
# somebody has set themselves stays.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client")
