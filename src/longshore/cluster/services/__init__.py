"""Longshore as services of a machine: what systemd is told (units.py), and putting it there (installing.py)."""
