"""Who may do what: roles and their bindings, the Node authoriser, and what writes may not give away.

A wish is allowed if anybody allows it: system:masters always may, the Node authoriser speaks for
nodes, bindings of roles for everyone.
"""
