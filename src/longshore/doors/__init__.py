"""Floor 4: everybody's APIs. A door translates to objects, or refuses by name."""
