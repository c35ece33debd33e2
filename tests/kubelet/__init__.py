"""The kubelet room: plans by value, and whole agents on a virtual clock and on real containers."""
