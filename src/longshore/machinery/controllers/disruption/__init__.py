"""PodDisruptionBudgets: how many of the pods that one covers may be disrupted now."""
