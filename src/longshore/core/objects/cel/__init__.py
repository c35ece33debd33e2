"""The Common Expression Language, as Kubernetes uses it: compiled once, of bounded cost, pure.

syntax.py reads a checked expression, cost.py says what it takes at most, library.py has Kubernetes'
own functions, program.py compiles and evaluates; selectors.py is what device selectors see.
"""
