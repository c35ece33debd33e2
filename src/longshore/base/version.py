"""Which versions are spoken: Longshore's own and the Kubernetes API's, said in one place."""

from __future__ import annotations

from longshore import __version__

KUBERNETES_MAJOR, KUBERNETES_MINOR = "1", "37"
KUBERNETES_VERSION = f"v{KUBERNETES_MAJOR}.{KUBERNETES_MINOR}.0+longshore-{__version__}"
