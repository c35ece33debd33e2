"""What an administrator may set of a server, in upstream's formats."""
