"""A cluster that asks an outside authoriser, as `longshore up --authorization-config` says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from longshore.doors.kit.http import Reply, Request

from ..cluster.test_authorizers import OWN, webhook, written
from ..cluster.test_webhook import judging, review
from .conftest import started
from .driver import Cluster, longshore

pytestmark = pytest.mark.slow


def by_name(request: Request) -> Reply:
    """carol may do anything, mallory nothing, and the rest is not known."""
    user = orjson.loads(request.body)["spec"]["user"]
    return Reply(200, review(allowed=user == "carol", denied=user == "mallory", reason="by name"))


async def can(cluster: Cluster, user: str, *words: str) -> str:
    done = await asyncio.to_thread(cluster.kubectl_run, *words, "--as", user)
    return done.stderr if done.returncode else "yes"


async def test_an_outside_authorizer_is_asked(short_root: Path, tmp_path: Path) -> None:
    async with judging(tmp_path) as judge:
        judge.answer = by_name
        own = webhook(tmp_path)
        own["webhook"]["connectionInfo"]["kubeConfigFile"] = str(judge.kubeconfig())
        words = ("--hollow", "--authorization-config", str(written(tmp_path, *OWN, own)))
        cluster = await asyncio.to_thread(started, "asks", short_root, *words)
        try:
            assert await can(cluster, "carol", "get", "nodes") == "yes"
            assert await can(cluster, "carol", "create", "configmap", "hers") == "yes"
            for user in ("mallory", "trent"):
                said = await can(cluster, user, "get", "nodes")
                assert said.strip().endswith("at the cluster scope: by name")
            asked = len(judge.heard)
            assert await can(cluster, "carol", "get", "nodes") == "yes"
            assert len(judge.heard) == asked
        finally:
            await asyncio.to_thread(cluster.longshore, "down")


def test_a_file_that_is_no_good_starts_nothing(short_root: Path, tmp_path: Path) -> None:
    file = written(tmp_path, OWN[1])
    words = ("--name", "refused", "--root", str(short_root), "--authorization-config", str(file))
    said = longshore("up", "--hollow", "--no-merge", *words, code=2)
    assert "Node, and RBAC behind it, are served only together" in said
    assert not (short_root / "refused").exists()
