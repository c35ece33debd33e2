"""SPDY/3.1, as far as Kubernetes' clients speak it: exec, attach and port-forward.

frames.py is the codec, pure; session.py serves streams over a connection. No library that is alive
speaks it, and clients before kubectl 1.31 speak nothing else; later ones still tunnel it through a
WebSocket to forward ports (KEP-4006).
"""
