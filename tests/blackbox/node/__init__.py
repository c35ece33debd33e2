"""Every behaviour of nodes and volumes that conformance has, played on real containers."""
