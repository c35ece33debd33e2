"""The pytest fixture `kube`: a cluster of a test's own, in milliseconds.

plugin.py, one floor up, is what pytest loads; all this is imported when the fixture is first asked for.
"""

from longshore.testing.kube.kube import Kube

__all__ = ["Kube"]
