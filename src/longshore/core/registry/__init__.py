"""The one way to read and write: authorise, default, admit, validate, commit."""
