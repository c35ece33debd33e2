"""ImagePolicyWebhook: what is asked about a pod's images, what answers do, and how long they count."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from longshore.base.users import loop_user
from longshore.cluster.settings import admission
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, Forbidden
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission import images
from longshore.core.registry.admission.images import NAME
from longshore.core.registry.admission.surroundings import AdmissionConfig, ImagePolicy
from longshore.core.registry.client import Create
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.questions import AskError
from longshore.core.registry.registry import RegistryConfig
from longshore.doors.kit.http import Reply, Request
from longshore.doors.kubernetes.audit.auditor import Auditor
from longshore.doors.kubernetes.audit.policy import parse
from longshore.doors.kubernetes.door import DoorConfig
from longshore.testing.clock import VirtualClock

from ..audit.test_auditor import Kept
from ..cluster.test_webhook import judging
from ..doors.rig import JSON, Kube, kube
from .rig import PODS, ask, made, of_spec, refused

MERGE = "application/merge-patch+json"


class Oracle:
    """Somebody who judges images; says may raise."""

    def __init__(self, *says: Doc | AskError) -> None:
        self.says = list(says)
        self.asked: list[Doc] = []

    async def __call__(self, spec: Doc) -> Doc:
        self.asked.append(spec)
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(said, AskError):
            raise said
        return said


DENIED = {"allowed": False, "reason": "unsigned"}
DOWN = AskError("it answered 503")


@asynccontextmanager
async def judged(oracle: Oracle, **policy: Any) -> AsyncIterator[tuple[Kube, Kept]]:
    config = AdmissionConfig(enable=(NAME,), image_policy=ImagePolicy(oracle, **policy))
    log, clock = Kept(), VirtualClock()
    rules = [{"level": "Metadata", "resources": [{"group": "", "resources": ["pods"]}]}]
    told = parse({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules})
    door = DoorConfig(auditor=Auditor(told, log, clock))
    async with kube(door, registry_config=RegistryConfig(admission=config)) as api:
        yield api, log


def notes(log: Kept) -> Doc:
    """The plug-in's annotations of the last line."""
    annotations = log.events[-1].get("annotations", {})
    return {k.partition("/")[2]: v for k, v in annotations.items() if ".image-policy." in k}


async def test_what_is_asked() -> None:
    oracle = Oracle({"allowed": True, "auditAnnotations": {"by": "key-7"}})
    doc = of_spec(initContainers=[{"name": "i", "image": "busybox:1"}])
    about = {"mine.image-policy.k8s.io/ticket": "42", "other": "x"}
    doc["metadata"]["annotations"] = about
    async with judged(oracle) as (api, log):
        await made(api, doc)
        (spec,) = oracle.asked
        image = doc["spec"]["containers"][0]["image"]
        assert spec == {
            "containers": [{"image": image}, {"image": "busybox:1"}], "namespace": "default",
            "annotations": {"mine.image-policy.k8s.io/ticket": "42"},
        }  # fmt: skip
        assert notes(log) == {"by": "key-7"}


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (DENIED, "image policy webhook backend denied one or more images: unsigned"),
        ({"allowed": False}, "one or more images rejected by webhook backend"),
        ({}, "one or more images rejected by webhook backend"),
        ({"allowed": "yes"}, "Error contacting webhook: its status does not say true or false"),
        (DOWN, "Error contacting webhook: it answered 503"),
    ],
)
async def test_what_is_refused(says: Doc | AskError, why: str) -> None:
    async with judged(Oracle(says)) as (api, _):
        assert await refused(api, of_spec()) == why
        assert (await api("GET", f"{PODS}/p")).status == 404


async def test_pods_that_nobody_could_judge_may_be_let_in_and_are_marked() -> None:
    async with judged(Oracle(DOWN), default_allow=True) as (api, log):
        answer = await ask(api, of_spec())
        marks = answer.doc["metadata"]["annotations"]
        assert (answer.status, marks) == (201, {"alpha.image-policy.k8s.io/failed-open": "true"})
        assert notes(log) == {"failed-open": "true"}


async def test_changed_images_and_ephemeral_containers_are_asked_about_and_a_status_is_not() -> (
    None
):
    oracle = Oracle({"allowed": True})
    async with judged(oracle) as (api, _):
        name = (await made(api, of_spec()))["containers"][0]["name"]
        one = [{"name": name, "image": "busybox:2"}]
        patch: Doc = {"spec": {"containers": one}}
        strategic = "application/strategic-merge-patch+json"
        answer = await api("PATCH", f"{PODS}/p", patch, content_type=strategic)
        assert answer.status == 200, answer.doc
        assert {"image": "busybox:2"} in oracle.asked[-1]["containers"]
        debug = [{"name": "d", "image": "debug:1"}]
        patch = {"spec": {"ephemeralContainers": debug}}
        path = f"{PODS}/p/ephemeralcontainers"
        assert (await api("PATCH", path, patch, content_type=strategic)).status == 200
        assert oracle.asked[-1]["containers"] == [{"image": "debug:1"}]
        oracle.says = [DENIED]
        patch = {"status": {"phase": "Failed"}}
        assert (await api("PATCH", f"{PODS}/p/status", patch, content_type=MERGE)).status == 200
        assert len(oracle.asked) == 3


@pytest.mark.parametrize(
    ("says", "ttl_s"), [({"allowed": True}, 300.0), (DENIED, 30.0), (DOWN, 1.0)]
)
async def test_answers_count_for_their_time(says: Doc | AskError, ttl_s: float) -> None:
    oracle = Oracle(says)
    async with judged(oracle) as (api, _):
        for number, (after_s, asked) in enumerate(((0.0, 1), (ttl_s - 0.1, 1), (0.1, 2))):
            await api.clock.advance(after_s)
            await ask(api, of_spec(f"p{number}"))
            assert len(oracle.asked) == asked


async def test_what_passes_is_tried_again_longer_and_longer() -> None:
    busy = AskError("it answered 429", passing=True)
    oracle = Oracle(busy, busy, busy, busy, {"allowed": True})
    async with judged(oracle) as (api, _):
        began = api.clock.monotonic()
        assert (await api.late(ask(api, of_spec()))).status == 201
        assert len(oracle.asked) == 5
        assert api.clock.monotonic() - began >= 0.5 + 0.75 + 1.125 + 1.6875


async def test_tries_end() -> None:
    oracle = Oracle(AskError("it answered 500", passing=True))
    async with judged(oracle) as (api, _):
        answer = await api.late(ask(api, of_spec()))
        assert answer.status == 403
        assert len(oracle.asked) == images._TRIES


async def test_pods_of_controllers_are_judged_like_others() -> None:
    oracle = Oracle({"allowed": True})
    async with judged(oracle) as (api, _):
        loop = InProcess(api.registry, loop_user("controllers"))
        pods = [Create(kinds.POD, of_spec(f"p{i}")) for i in range(3)]
        for one in pods:
            one.doc["metadata"]["namespace"] = "default"
        answers = await loop.submit(pods)
        assert not [answer for answer in answers if isinstance(answer, ApiError)]
        assert len(oracle.asked) == 1
        oracle.says = [DENIED]
        denied = Create(kinds.POD, of_spec("q", containers=[{"name": "c", "image": "evil"}]))
        denied.doc["metadata"]["namespace"] = "default"
        (answer,) = await loop.submit([denied])
        assert isinstance(answer, Forbidden)
        with pytest.raises(Forbidden, match="unsigned"):
            await loop.write(denied)


async def test_all_together_over_tls(tmp_path: Path) -> None:
    """Upstream's file, a webhook on loopback, and its answers as they come over the wire."""

    def by_name(request: Request) -> Reply:
        review = orjson.loads(request.body)
        ok = all(one["image"].startswith("good/") for one in review["spec"]["containers"])
        return Reply(200, orjson.dumps(review | {"status": {"allowed": ok, "reason": "not good"}}))

    async with judging(tmp_path) as judge:
        judge.answer = by_name
        file = tmp_path / "admission.yaml"
        policy = {"kubeConfigFile": str(judge.kubeconfig()), "allowTTL": 50, "retryBackoff": 1}
        plugin = {"name": NAME, "configuration": {"imagePolicy": policy}}
        head = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration"}
        file.write_bytes(orjson.dumps(head | {"plugins": [plugin]}))
        config = RegistryConfig(admission=admission.read((NAME,), (), file))
        async with kube(registry_config=config) as api:
            await made(api, of_spec(containers=[{"name": "c", "image": "good/a"}]))
            bad = of_spec("q", containers=[{"name": "c", "image": "bad/a"}])
            assert (await refused(api, bad)).endswith(": not good")
            judge.answer = lambda _: Reply(302, b"", JSON, {"Location": "https://127.0.0.1:1/"})
            other = of_spec("r", containers=[{"name": "c", "image": "good/b"}])
            assert await refused(api, other) == "Error contacting webhook: it answered 302"
        sent = orjson.loads(judge.heard[0].body)
        assert (sent["apiVersion"], sent["kind"]) == (
            "imagepolicy.k8s.io/v1alpha1", "ImageReview",
        )  # fmt: skip
        assert len(judge.heard) == 3
        policies = config.admission.image_policy
        assert policies is not None
        assert (policies.allow_ttl_s, policies.deny_ttl_s) == (50.0, 30.0)
        assert (policies.backoff_s, policies.default_allow) == (0.001, False)
