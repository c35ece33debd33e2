"""The kinds, as data and pure functions: schemas, defaulting, validation, patches, selectors."""
