"""Server-side apply and the ownership of fields, pure (KEP-555; docs: reference/using-api/server-side-apply).

fields.py is the arithmetic of sets of fields, shapes.py says which values are one and which have
parts, walks.py goes through objects by their shapes, ownership.py keeps metadata.managedFields.
"""
