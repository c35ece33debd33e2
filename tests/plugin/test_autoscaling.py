"""What docs/autoscaling.md says of trying an autoscaler with the fixture."""

from __future__ import annotations

from typing import Any

from longshore.testing.kube.kube import Kube

LABELS = {"app": "shop"}
REQUESTS = {"requests": {"cpu": "250m"}}
SHOP: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "shop"},
    "spec": {
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {"containers": [{"name": "shop", "image": "shop", "resources": REQUESTS}]},
        },
    },
}
AUTOSCALER: dict[str, Any] = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "shop"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "maxReplicas": 8,
    },
}


def test_the_shop_grows_and_shrinks_with_its_load(kube: Kube) -> None:
    kube.apply(SHOP, AUTOSCALER)
    kube.wait("deploy/shop", "Available")
    for cores, replicas in (("2", 8), ("400m", 2)):
        load = {"longshore.io/hollow-cpu": cores}
        kube.patch("deploy/shop", {"metadata": {"annotations": load}})
        kube.wait("deploy/shop", f"spec.replicas={replicas}", timeout="10m")
        kube.wait("deploy/shop", f"status.replicas={replicas}", timeout="1m")
