"""The documented examples of upstream's rules, one file a page of kubernetes.io."""
