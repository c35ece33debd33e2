"""What a container is given: environment, files, facts, rights. Pure."""
