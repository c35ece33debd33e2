"""The node agent: makes the pods bound to its node real, and reports them."""
