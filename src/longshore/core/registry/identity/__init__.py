"""Who somebody is: the tokens that prove it, ours and those of others."""
