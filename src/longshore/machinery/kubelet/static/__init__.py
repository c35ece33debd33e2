"""Static pods: those that a directory of manifests asks for, with or without an API server."""
