"""From outside: the command line, real clusters, the real kubectl."""
