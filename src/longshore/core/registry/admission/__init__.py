"""Admission: what plug-ins add to and demand of an object before it is validated and stored."""
