"""Images of pods: with which logins they are pulled, who may use them after, and what pods mount."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from longshore.core.objects import kinds

from .docs import container, pod
from .test_keyring import login, secret
from .world import NODE, World, until, world

IMAGE = container()["image"]
SECRETS = [{"name": "pull"}]


@pytest.fixture
async def w(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        made.start_agent()
        await until(lambda: made.registry.cache.get(kinds.NODE, "", NODE))
        made.runtime.missing.add(IMAGE)
        yield made


async def keep(w: World, name: str, *user_names: str) -> None:
    """A Secret of those logins for the registry of IMAGE."""
    keys = ("registry.test/app", "registry.test", "*.test")
    doc = secret(name, {key: login(user) for key, user in zip(keys, user_names, strict=False)})
    metadata = {"name": name, "namespace": "shop"}
    await w.create(kinds.SECRET, {**doc, "metadata": metadata})


async def told(w: World, sentence: str) -> bool:
    return any(sentence in line for line in await w.events())


async def test_a_pods_secrets_are_shown_to_the_registry_in_turn(w: World) -> None:
    await keep(w, "pull", "nobody", "stranger", "me")
    w.runtime.private[IMAGE] = "me"
    await w.run_pod(pod(imagePullSecrets=SECRETS))
    await until(lambda: w.phase() == "Running")
    assert w.runtime.logins == [(IMAGE, "nobody"), (IMAGE, "stranger"), (IMAGE, "me")]
    assert await told(
        w, f'Successfully pulled image "{IMAGE}" in 0.000s (0.000s including waiting)'
    )


async def test_a_missing_secret_is_told_of_and_the_pull_is_tried(w: World) -> None:
    w.runtime.private[IMAGE] = "me"
    await w.run_pod(pod(imagePullSecrets=[*SECRETS, {"name": "other"}]))
    await until(lambda: w.waiting() == "ErrImagePull")
    assert w.runtime.logins == [(IMAGE, "")]
    assert await told(
        w,
        "FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (pull, other); "
        "attempting to pull the image may not succeed.",
    )
    await keep(w, "pull", "me")
    await w.clock.advance(10)
    await until(lambda: w.phase() == "Running")


async def test_wrong_logins_fail_with_all_that_the_registry_said(w: World) -> None:
    await keep(w, "pull", "nobody", "stranger")
    w.runtime.private[IMAGE] = "me"
    await w.run_pod(pod(imagePullSecrets=SECRETS))
    await until(lambda: w.waiting() == "ErrImagePull")
    message = w.container()["state"]["waiting"]["message"]
    assert message.startswith(f'failed to pull image "{IMAGE}": ')
    assert message.count("unauthorized") == 1, "the same words twice"
    await w.clock.advance(2)
    await until(lambda: w.waiting() == "ImagePullBackOff")
    waiting = w.container()["state"]["waiting"]["message"]
    assert waiting.startswith(f'Back-off pulling image "{IMAGE}": ErrImagePull: failed to pull')
    for sentence in (
        f'BackOff: Back-off pulling image "{IMAGE}"',
        "Failed: Error: ImagePullBackOff",
    ):
        assert await told(w, sentence)


async def test_what_was_pulled_with_a_secret_is_not_given_to_pods_without(w: World) -> None:
    await keep(w, "pull", "me")
    w.runtime.private[IMAGE] = "me"
    await w.run_pod(pod(imagePullSecrets=SECRETS))
    await until(lambda: w.phase() == "Running")
    await w.run_pod(pod(name="thief"))
    await until(lambda: w.waiting(pod="thief") == "ErrImagePull")
    await w.run_pod(pod(container(imagePullPolicy="Never"), name="never"))
    await until(lambda: w.waiting(pod="never") == "ErrImageNeverPull")
    before = len(w.runtime.pulled)
    await w.run_pod(pod(name="friend", imagePullSecrets=SECRETS))
    await until(lambda: w.phase("friend") == "Running")
    assert len(w.runtime.pulled) == before, "the registry was asked again"
    assert await told(w, "already present on machine and can be accessed by the pod")


async def test_whose_an_image_is_outlives_the_agent(w: World) -> None:
    await keep(w, "pull", "me")
    w.runtime.private[IMAGE] = "me"
    await w.run_pod(pod(imagePullSecrets=SECRETS))
    await until(lambda: w.phase() == "Running")
    await w.stop_agent()
    w.start_agent()
    await w.run_pod(pod(name="thief"))
    await until(lambda: w.waiting(pod="thief") == "ErrImagePull")


async def test_one_pull_is_shared_by_pods_with_the_same_logins_only(w: World) -> None:
    await keep(w, "pull", "me")
    w.runtime.gate = asyncio.Event()
    for name in ("a", "b"):
        await w.run_pod(pod(name=name, imagePullSecrets=SECRETS))
    for name in ("c", "d"):
        await w.run_pod(pod(name=name))
    await until(lambda: len(w.runtime.logins) == 2)
    w.runtime.gate.set()
    await until(lambda: all(w.phase(name) == "Running" for name in "abcd"))
    assert sorted(w.runtime.logins) == [(IMAGE, ""), (IMAGE, "me")]


async def test_only_so_many_images_are_pulled_at_a_time(w: World) -> None:
    images = [f"registry.test/app-{number}:1" for number in range(8)]
    w.runtime.missing |= set(images)
    w.runtime.gate = asyncio.Event()
    for number, image in enumerate(images):
        await w.run_pod(pod({**container(), "image": image}, name=f"p{number}"))
    await until(lambda: len(w.runtime.pulled) == 5)
    await w.clock.advance(1)
    assert len(w.runtime.pulled) == 5
    w.runtime.gate.set()
    await until(lambda: all(w.phase(f"p{number}") == "Running" for number in range(8)))
    assert await told(w, "(1.000s including waiting)")


async def test_always_asks_again_each_time(w: World) -> None:
    await w.run_pod(pod(container(imagePullPolicy="Always"), name="a"))
    await until(lambda: w.phase("a") == "Running")
    await w.run_pod(pod(container(imagePullPolicy="Always"), name="b"))
    await until(lambda: w.phase("b") == "Running")
    assert w.runtime.pulled == [IMAGE, IMAGE]


async def test_an_invalid_reference_is_not_pulled(w: World) -> None:
    await w.run_pod(pod({**container(), "image": "Not-A-Reference"}))
    await until(lambda: w.waiting() == "InvalidImageName")
    assert w.runtime.pulled == []
    assert await told(
        w,
        'InspectFailed: Failed to apply default image tag "Not-A-Reference": '
        'couldn\'t parse image name "Not-A-Reference": invalid reference format: ',
    )
    assert await told(w, "Failed: Error: InvalidImageName")
