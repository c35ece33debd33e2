"""The life of a pod, decided and told from what is seen of it. Pure."""
