"""Which versions are spoken: the Kubernetes API's and Longshore's own, said in one place."""

from __future__ import annotations

from longshore import __version__

# The version of Kubernetes whose API is served (tools/build_definitions.py packages its schemas).
KUBERNETES_VERSION = "v1.37.0"
# What servers and nodes say they are: plain Kubernetes to those that compare, ours to those that read.
GIT_VERSION = f"{KUBERNETES_VERSION}+longshore-{__version__}"
RUNTIME_VERSION = f"longshore://{__version__}"
