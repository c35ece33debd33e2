"""Floor 7, shipped: virtual clock, hollow nodes, checkers and other help for tests."""
