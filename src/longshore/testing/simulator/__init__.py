"""A whole cluster in one process under simulated time, driven and disturbed from one seed.

cluster.py puts the real door, registry, controllers, scheduler and hollow nodes together on a
medium (medium.py; seats.py, where several servers share it) and a network (wire.py) that fail when
told to. script.py draws what users do and what goes wrong from a seed; play.py plays it; checkers/
judge what was recorded, from outside.
"""
