"""A node's own resources: what pods may have of them, what is done when they run short, what is cleared away."""
