"""Which of the pods that are bound to a node it takes, and what it has set aside for them."""
