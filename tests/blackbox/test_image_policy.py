"""A cluster whose images somebody outside judges, as `longshore up --admission-control-config-file` says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import orjson
import pytest

from longshore.doors.kit.http import Reply, Request

from ..cluster.test_webhook import judging
from .conftest import started
from .driver import longshore_run

pytestmark = pytest.mark.slow


def by_name(request: Request) -> Reply:
    review = orjson.loads(request.body)
    good = all(one["image"].startswith("good/") for one in review["spec"]["containers"])
    status = {"allowed": good, "reason": "not from the house"}
    return Reply(200, orjson.dumps(review | {"status": status}))


async def test_images_are_judged_whoever_makes_the_pods(short_root: Path, tmp_path: Path) -> None:
    async with judging(tmp_path) as judge:
        judge.answer = by_name
        policy = {"kubeConfigFile": str(judge.kubeconfig())}
        plugin = {"name": "ImagePolicyWebhook", "configuration": {"imagePolicy": policy}}
        head = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration"}
        file = tmp_path / "admission.yaml"
        file.write_text(json.dumps(head | {"plugins": [plugin]}))
        words: tuple[str, ...] = ("--enable-admission-plugins", "ImagePolicyWebhook")
        words += ("--admission-control-config-file", str(file))
        cluster = await asyncio.to_thread(started, "judged", short_root, "--hollow", *words)

        async def kubectl(*words: str) -> str:
            done = await asyncio.to_thread(cluster.kubectl_run, *words)
            return done.stdout + done.stderr

        try:
            await kubectl("create", "deployment", "good", "--image=good/a", "--replicas=3")
            said = await kubectl("rollout", "status", "deployment/good", "--timeout=120s")
            assert "successfully rolled out" in said
            said = await kubectl("run", "bad", "--image=bad/a")
            assert said.strip().endswith("denied one or more images: not from the house")
            await kubectl("create", "deployment", "bad", "--image=bad/a")
            why = "jsonpath={.status.conditions[?(@.type=='ReplicaFailure')].message}"
            wait = ("wait", "deployment/bad", "--for=condition=ReplicaFailure", "--timeout=120s")
            await kubectl(*wait)
            assert "not from the house" in await kubectl("get", "deployment", "bad", "-o", why)
            named = ("--name", cluster.name, "--root", str(cluster.root), "--json")
            done = await asyncio.to_thread(longshore_run, "audit-config", *named)
            verdicts = {c["number"]: c["verdict"] for c in json.loads(done.stdout)["controls"]}
            assert verdicts["5.5.1"] == "pass"
        finally:
            await asyncio.to_thread(cluster.longshore, "down")
