"""Floor 0: clock, chance, identifiers, quantities, limits. Knows nothing of the rest."""
