"""Cluster DNS: the names of services and of the pods behind them, answered on every node itself.

plan.py decides which names there are, codec.py speaks DNS' wire format, run.py listens.
"""
