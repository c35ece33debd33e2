"""PyPI kubernetes_asyncio: create, watch until it runs, scale, delete."""

from __future__ import annotations

import asyncio
import sys

from kubernetes_asyncio import client, config, watch

LABELS = {"app": "asyncio"}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "asyncio"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {"containers": [{"name": "main", "image": "nginx"}]},
        },
    },
}


async def main(kubeconfig: str) -> None:
    await config.load_kube_config(kubeconfig)
    async with client.ApiClient() as api:
        core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
        await apps.create_namespaced_deployment("default", DEPLOYMENT)
        running = set()
        async with watch.Watch() as changes:
            async for event in changes.stream(
                core.list_namespaced_pod,
                "default",
                label_selector="app=asyncio",
                timeout_seconds=30,
            ):
                if event["object"].status.phase == "Running":
                    running.add(event["object"].metadata.name)
                if len(running) == 2:
                    break
        assert len(running) == 2, running
        await apps.patch_namespaced_deployment_scale(
            "asyncio", "default", {"spec": {"replicas": 3}}
        )
        scale = await apps.read_namespaced_deployment_scale("asyncio", "default")
        assert scale.spec.replicas == 3, scale
        await apps.delete_namespaced_deployment("asyncio", "default")


asyncio.run(main(sys.argv[1]))
print("well")
