"""Tenants: a namespace for a team, with what bounds it and who may use it.

template.yaml  what a tenant is made of, unless somebody brings a template of their own
template.py    a template and the words of a request to the objects to apply (pure)
manage.py      made, listed, shown and deleted with the administrator's rights
"""
