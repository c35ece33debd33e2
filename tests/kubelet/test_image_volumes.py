"""Images that containers mount (KEP-4639) are there before the containers start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc

from .docs import container, pod
from .world import NODE, World, until, world

DATA = "registry.test/data:1"


@pytest.fixture
async def w(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        made.start_agent()
        await until(lambda: made.registry.cache.get(kinds.NODE, "", NODE))
        made.runtime.missing.add(DATA)
        yield made


def mounting(policy: str = "", reference: str = DATA) -> Doc:
    """A pod of two containers, of which one mounts an image."""
    mounts = [{"name": "data", "mountPath": "/data", "subPath": "models"}]
    image = {"reference": reference, **({"pullPolicy": policy} if policy else {})}
    return pod(
        container("reader", volumeMounts=mounts),
        container("other"),
        volumes=[{"name": "data", "image": image}],
    )


async def test_it_is_pulled_once_and_mounted_read_only(w: World) -> None:
    await w.run_pod(mounting())
    await until(lambda: w.phase() == "Running")
    assert w.runtime.pulled == [DATA]
    (reader,) = [spec for spec in w.runtime.started if spec.name == "reader"]
    (mount,) = [one for one in reader.mounts if one.target == "/data"]
    assert (mount.image, mount.source, mount.read_only) == (DATA, "models", True)
    assert any(f'Successfully pulled image "{DATA}"' in line for line in await w.events())


async def test_only_containers_that_mount_it_wait_for_it(w: World) -> None:
    w.runtime.unpullable[DATA] = "manifest unknown"
    await w.run_pod(mounting())
    await until(lambda: w.waiting("reader") == "ErrImagePull")
    await until(lambda: "running" in w.container("other")["state"])
    await w.clock.advance(2)
    await until(lambda: w.waiting("reader") == "ImagePullBackOff")
    message = w.container("reader")["state"]["waiting"]["message"]
    assert message.startswith(f'Back-off pulling image "{DATA}": ErrImagePull: ')
    w.runtime.unpullable.clear()
    await w.clock.advance(8)
    await until(lambda: w.phase() == "Running")


async def test_its_pull_policy_is_its_own(w: World) -> None:
    await w.run_pod(mounting("Never"))
    await until(lambda: w.waiting("reader") == "ErrImageNeverPull")
    assert w.runtime.pulled == []
    await w.delete(grace_s=0)
    await until(w.gone)
    w.runtime.missing.clear()
    await w.run_pod(mounting("Always"))
    await until(lambda: w.phase() == "Running")
    assert w.runtime.pulled == [DATA]
