"""Tokens of service accounts: mounted with the CA certificate, kept, and replaced in time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from longshore.base.clock import rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.errors import NotFound, Unavailable
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.accounts import MOUNT_PATH
from longshore.core.registry.client import Create
from longshore.machinery.kubelet.credentials import Credentials
from longshore.machinery.kubelet.volumes.mounting import unmount_below
from longshore.testing.clock import VirtualClock

from .docs import pod
from .world import until, world

ACCESS: Doc = {
    "name": "kube-api-access-x",
    "projected": {
        "defaultMode": 0o644,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt",
                           "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace",
                                        "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ],
    },
}  # fmt: skip


class Issuer:
    """Issues numbered tokens that live as long as they are asked to."""

    def __init__(self, clock: VirtualClock, missing: int = 0) -> None:
        self.clock, self.missing = clock, missing
        self.asked: list[tuple[str, str, Doc]] = []
        self.down = False

    async def token(self, namespace: str, account: str, spec: Doc) -> Doc:
        self.asked.append((namespace, account, spec))
        if self.down:
            raise Unavailable("no server")
        if len(self.asked) <= self.missing:
            raise NotFound.of(kinds.SERVICE_ACCOUNT, account)
        until = self.clock.now() + spec["expirationSeconds"]
        return {"token": f"token-{len(self.asked)}", "expirationTimestamp": rfc3339(until)}


def asking(seconds: int = 3600, audience: str = "") -> Doc:
    doc = pod()
    source: Doc = {"expirationSeconds": seconds, "path": "token"}
    if audience:
        source["audience"] = audience
    volume = {"name": "t", "projected": {"sources": [{"serviceAccountToken": source}]}}
    doc["spec"] |= {"volumes": [volume], "serviceAccountName": "robot"}
    return doc


async def test_a_token_is_bound_to_its_pod_and_kept_until_a_fifth_of_its_life_is_left() -> None:
    clock = VirtualClock()
    issuer = Issuer(clock)
    credentials, doc = Credentials(issuer, clock), asking(audience="vault")
    first = await credentials.of_pod(doc)
    ((namespace, account, spec),) = issuer.asked
    assert (namespace, account) == (doc["metadata"]["namespace"], "robot")
    assert spec["audiences"] == ["vault"]
    assert spec["boundObjectRef"]["uid"] == doc["metadata"]["uid"]
    await clock.advance(3600 * 0.79)
    assert await credentials.of_pod(doc) == first
    await clock.advance(3600 * 0.02)
    assert await credentials.of_pod(doc) != first
    credentials.forget(doc["metadata"]["uid"])
    await credentials.of_pod(doc)
    assert len(issuer.asked) == 3


async def test_an_old_token_is_used_while_the_server_is_away_and_it_lives() -> None:
    clock = VirtualClock()
    issuer = Issuer(clock)
    credentials, doc = Credentials(issuer, clock), asking()
    first = await credentials.of_pod(doc)
    issuer.down = True
    await clock.advance(3500)
    assert await credentials.of_pod(doc) == first
    await clock.advance(200)
    with pytest.raises(Unavailable):
        await credentials.of_pod(doc)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """An agent's directory; as root, tokens are below it in memory."""
    yield tmp_path
    unmount_below(tmp_path)


async def test_the_volume_holds_what_clients_in_pods_look_for(root: Path) -> None:
    async with world(root) as made:
        issuer = Issuer(made.clock, missing=3)
        made.start_agent().tokens = issuer
        doc = pod()
        doc["spec"]["volumes"] = [ACCESS]
        mount = {"name": ACCESS["name"], "mountPath": MOUNT_PATH, "readOnly": True}
        doc["spec"]["containers"][0]["volumeMounts"] = [mount]
        await made.run_pod(doc)
        # The account and the certificate come a moment after the pod.
        await made.clock.advance(1)
        assert made.phase() != "Running" and len(issuer.asked) == 0
        name = {"namespace": "shop", "name": "kube-root-ca.crt"}
        await made.client.write(
            Create(kinds.CONFIG_MAP, {"metadata": name, "data": {"ca.crt": "C"}})
        )
        await made.clock.advance(1)
        await until(lambda: made.phase() == "Running")
        assert len(issuer.asked) == 4
        (spec,) = made.runtime.started
        (where,) = [m.source for m in spec.mounts if m.target == MOUNT_PATH]
        found = {
            file: (Path(where) / file).read_text() for file in ("token", "ca.crt", "namespace")
        }
        assert found == {"token": "token-4", "ca.crt": "C", "namespace": "shop"}
        # Within a minute of the time when a fifth of its life is left, the file has a new one.
        await made.clock.advance(3607 * 0.8 + 60)
        await until(lambda: (Path(where) / "token").read_text() == "token-5")
