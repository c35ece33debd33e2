"""What every namespace has from the start, and how one ends."""
