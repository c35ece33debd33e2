"""PyPI kr8s: a pod's whole life."""

from __future__ import annotations

import sys
import warnings

import kr8s
from kr8s.objects import Pod

warnings.simplefilter("ignore")  # it knows Kubernetes up to an older version
api = kr8s.api(kubeconfig=sys.argv[1])
assert len(list(api.get("nodes"))) == 3
pod = Pod(
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "krates", "namespace": "default"},
        "spec": {"containers": [{"name": "main", "image": "nginx"}]},
    },
    api=api,
)
pod.create()
pod.wait("condition=Ready")
pod.label({"seen": "yes"})
pod.annotate({"seen": "yes"})
assert pod.labels["seen"] == "yes"
pod.delete()
pod.wait("delete")
print("well")
