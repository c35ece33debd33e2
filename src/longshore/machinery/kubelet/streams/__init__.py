"""Live talk with a container: its log, a command in it, a port of it."""
