"""ServiceAccount: whose pods run as whom, and the token that they are handed."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.accounts import MOUNT_PATH

from ..doors.rig import Kube
from .rig import PODS, admitting, ask, made, make, of_spec, refused

ENFORCED = {"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}


def mounts(container: Doc) -> list[str]:
    return [one["mountPath"] for one in container.get("volumeMounts", ())]


async def test_a_pod_runs_as_the_default_account_and_gets_a_token() -> None:
    async with admitting() as api:
        spec = await made(api, of_spec(initContainers=[{"name": "i", "image": "i"}]))
        assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
        (volume,) = spec["volumes"]
        assert volume["name"].startswith("kube-api-access-") and len(volume["name"]) == 21
        token, authority, namespace = volume["projected"]["sources"]
        assert token == {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
        assert authority["configMap"]["name"] == "kube-root-ca.crt"
        assert namespace["downwardAPI"]["items"][0]["path"] == "namespace"
        for container in (*spec["containers"], *spec["initContainers"]):
            (mount,) = container["volumeMounts"]
            wanted = {"name": volume["name"], "readOnly": True, "mountPath": MOUNT_PATH}
            assert wanted.items() <= mount.items()


async def test_the_token_may_be_declined_by_the_pod_or_by_the_account() -> None:
    async with admitting() as api:
        await make(api, kinds.SERVICE_ACCOUNT, "quiet", automountServiceAccountToken=False)
        quiet = {"serviceAccountName": "quiet"}
        assert "volumes" not in await made(api, of_spec("a", **quiet))
        wants = of_spec("b", automountServiceAccountToken=True, **quiet)
        assert len((await made(api, wants))["volumes"]) == 1
        declines = of_spec("c", automountServiceAccountToken=False)
        assert "volumes" not in await made(api, declines)


async def test_a_mount_of_ones_own_is_left_alone() -> None:
    async with admitting() as api:
        container = {
            "name": "main", "image": "i", "volumeMounts": [{"name": "v", "mountPath": MOUNT_PATH}],
        }  # fmt: skip
        spec = await made(api, of_spec(containers=[container], volumes=[{"name": "v"}]))
        assert [one["name"] for one in spec["volumes"]] == ["v"]
        assert mounts(spec["containers"][0]) == [MOUNT_PATH]


async def test_an_account_must_be_there() -> None:
    async with admitting() as api:
        assert await refused(api, of_spec(serviceAccountName="robot")) == (
            'error looking up service account default/robot: serviceaccount "robot" not found'
        )


async def test_pull_secrets_are_the_accounts_unless_the_pod_has_its_own() -> None:
    async with admitting() as api:
        await make(api, kinds.SERVICE_ACCOUNT, "robot", imagePullSecrets=[{"name": "registry"}])
        robot = {"serviceAccountName": "robot"}
        assert (await made(api, of_spec("a", **robot)))["imagePullSecrets"] == [
            {"name": "registry"}
        ]
        own = of_spec("b", imagePullSecrets=[{"name": "mine"}], **robot)
        assert (await made(api, own))["imagePullSecrets"] == [{"name": "mine"}]


async def test_a_mirror_pod_speaks_for_no_account() -> None:
    async with admitting() as api:
        mirror = of_spec()
        mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
        with_account = {**mirror, "spec": {**mirror["spec"], "serviceAccountName": "default"}}
        assert await refused(api, with_account) == "a mirror pod may not reference service accounts"
        secret = {"name": "s", "secret": {"secretName": "s"}}
        with_secret = {**mirror, "spec": {**mirror["spec"], "volumes": [secret]}}
        assert await refused(api, with_secret) == "a mirror pod may not reference secrets"


def env(secret: str) -> list[Doc]:
    return [{"name": "E", "valueFrom": {"secretKeyRef": {"name": secret, "key": "k"}}}]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"volumes": [{"name": "v", "secret": {"secretName": "other"}}]},
         'volume with secret.secretName="other"'),
        ({"containers": [{"name": "c", "image": "i", "env": env("other")}]},
         'container c with envVar E referencing secret.secretName="other"'),
        ({"initContainers": [{"name": "c", "image": "i",
                              "envFrom": [{"secretRef": {"name": "other"}}]}]},
         'init container c with envFrom referencing secret.secretName="other"'),
    ],
)  # fmt: skip
async def test_an_account_may_be_held_to_its_secrets(spec: dict[str, Any], why: str) -> None:
    async with admitting() as api:
        await robot_with_secret(api)
        told = f"{why} is not allowed because service account robot does not reference that secret"
        assert await refused(api, of_spec(serviceAccountName="robot", **spec)) == told


async def test_secrets_that_the_account_lists_may_be_used() -> None:
    async with admitting() as api:
        await robot_with_secret(api)
        volume = {"name": "v", "secret": {"secretName": "known"}}
        fine = of_spec(serviceAccountName="robot", volumes=[volume])
        assert (await ask(api, fine)).status == 201
        pulls = of_spec("b", serviceAccountName="robot", imagePullSecrets=[{"name": "x"}])
        assert await refused(api, pulls) == (
            'imagePullSecrets[0].name="x" is not allowed because service account robot does not '
            "reference that imagePullSecret"
        )
        debug = {"name": "d", "image": "i", "env": env("other")}
        patch = {"spec": {"ephemeralContainers": [debug]}}
        media = "application/strategic-merge-patch+json"
        answer = await api("PATCH", f"{PODS}/p/ephemeralcontainers", patch, content_type=media)
        assert answer.status == 403
        assert "ephemeral container d with envVar E" in answer.doc["message"]


async def robot_with_secret(api: Kube) -> None:
    secrets = [{"name": "known"}]
    await make(api, kinds.SERVICE_ACCOUNT, "robot", metadata=ENFORCED, secrets=secrets)
