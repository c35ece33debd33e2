"""`longshore why`: how every rule sees every node for one pod."""
