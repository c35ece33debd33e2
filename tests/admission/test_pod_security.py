"""PodSecurity: namespaces say what their pods may be."""

from __future__ import annotations

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.surroundings import PodSecurityConfig

from ..audit.test_auditor import audited
from ..doors.rig import Kube, deployment, pod
from .rig import admitting, ask, make, of_spec, path_of, refused
from .test_pod_security_standards import HARD

PREFIX = "pod-security.kubernetes.io/"
MERGE = "application/merge-patch+json"
PRIVILEGED: Doc = {"containers": [
    {"name": "c", "image": "i", "securityContext": {"privileged": True}}]}  # fmt: skip


async def namespace(api: Kube, **labels: str) -> None:
    named = {PREFIX + key.replace("_", "-"): value for key, value in labels.items()}
    await make(api, kinds.NAMESPACE, "team", metadata={"labels": named})


async def test_what_is_enforced_is_refused() -> None:
    async with admitting() as api:
        await namespace(api, enforce="baseline")
        assert await refused(api, of_spec(**PRIVILEGED), "team") == (
            'violates PodSecurity "baseline:latest": privileged (container "c" must not set '
            "securityContext.privileged=true)"
        )
        answer = await ask(api, pod("fine"), "team")
        assert answer.status == 201 and "Warning" not in answer.headers
        assert (await ask(api, of_spec(**PRIVILEGED))).status == 201, "another namespace"


async def test_what_is_warned_of_is_let_in() -> None:
    async with admitting() as api:
        await namespace(api, warn="restricted", warn_version="v1.22")
        answer = await ask(api, of_spec(**PRIVILEGED), "team")
        assert answer.status == 201
        warning = answer.headers["Warning"].replace('\\"', '"')
        assert 'would violate PodSecurity "restricted:v1.22": privileged (' in warning
        hard = of_spec("hard", containers=[{"name": "c", "image": "i", "securityContext": HARD}])
        assert "Warning" not in (await ask(api, hard, "team")).headers


async def test_workloads_are_warned_of_what_their_pods_will_meet() -> None:
    async with admitting() as api:
        await namespace(api, enforce="baseline")
        doc = deployment("web")
        doc["spec"]["template"]["spec"] |= {"hostNetwork": True}
        answer = await api("POST", path_of(kinds.DEPLOYMENT, "team"), doc)
        assert answer.status == 201
        assert "host namespaces (hostNetwork=true)" in answer.headers["Warning"]
        path = f"{path_of(kinds.DEPLOYMENT, 'team')}/web"
        fixed = {"spec": {"template": {"spec": {"hostNetwork": False}}}}
        answer = await api("PATCH", path, fixed, content_type=MERGE)
        assert answer.status == 200 and "Warning" not in answer.headers
        scaled = {"spec": {"replicas": 2}}
        assert "Warning" not in (await api("PATCH", path, scaled, content_type=MERGE)).headers
        job = {"metadata": {"name": "j"}, "spec": {
            "schedule": "@daily", "jobTemplate": {"spec": {"template": {"spec": {
                **PRIVILEGED, "restartPolicy": "Never"}}}}}}  # fmt: skip
        answer = await api("POST", path_of(kinds.CRON_JOB, "team"), job)
        assert "would violate PodSecurity" in answer.headers["Warning"]


async def test_applied_workloads_are_warned_of_too() -> None:
    async with admitting() as api:
        await namespace(api, warn="baseline")
        doc = deployment("web")
        doc["spec"]["template"]["spec"] |= {"hostPID": True}
        path = f"{path_of(kinds.DEPLOYMENT, 'team')}/web?fieldManager=me"
        answer = await api("PATCH", path, doc, content_type="application/apply-patch+yaml")
        assert answer.status == 201 and "hostPID=true" in answer.headers["Warning"]


async def test_labels_have_to_be_right_and_raising_the_level_names_violators() -> None:
    async with admitting() as api:
        bad = {"metadata": {"name": "bad", "labels": {f"{PREFIX}enforce": "high"}}}
        answer = await api("POST", path_of(kinds.NAMESPACE), bad)
        assert (answer.status, answer.doc["message"]) == (
            422, 'Namespace "bad" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: '
            'Invalid value: "high": must be one of privileged, baseline, restricted',
        )  # fmt: skip
        await namespace(api)
        for name in ("b", "a", "c"):
            await ask(api, of_spec(name, **PRIVILEGED), "team")
        await ask(api, of_spec("d", hostNetwork=True), "team")
        raised = {"metadata": {"labels": {f"{PREFIX}enforce": "baseline"}}}
        path = f"{path_of(kinds.NAMESPACE)}/team"
        answer = await api("PATCH", path, raised, content_type=MERGE)
        assert answer.status == 200
        told = answer.headers["Warning"].replace('\\"', '"')
        assert (
            'existing pods in namespace "team" violate the new PodSecurity enforce level ' in told
        )
        assert "a (and 2 other pods): privileged" in told and "d: host namespaces" in told
        again = {"metadata": {"labels": {"x": "y"}}}
        assert "Warning" not in (await api("PATCH", path, again, content_type=MERGE)).headers


async def test_ephemeral_containers_are_judged_and_labels_are_not() -> None:
    async with admitting() as api:
        await make(api, kinds.NAMESPACE, "team")
        await ask(api, of_spec("p", **PRIVILEGED), "team")
        labels = {f"{PREFIX}enforce": "baseline"}
        path = f"{path_of(kinds.NAMESPACE)}/team"
        await api("PATCH", path, {"metadata": {"labels": labels}}, content_type=MERGE)
        there = f"{path_of(kinds.POD, 'team')}/p"
        labelled = await api(
            "PATCH", there, {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE
        )
        assert labelled.status == 200
        patch = {"spec": {"ephemeralContainers": [
            {"name": "d", "image": "i", "securityContext": {"privileged": True}}]}}  # fmt: skip
        media = "application/strategic-merge-patch+json"
        answer = await api("PATCH", f"{there}/ephemeralcontainers", patch, content_type=media)
        assert answer.status == 403 and 'containers "c", "d"' in answer.doc["message"]


async def test_defaults_and_exemptions_are_the_operators() -> None:
    config = PodSecurityConfig(
        levels={"enforce": "baseline"}, exempt_namespaces=frozenset({"team"}),
        exempt_users=frozenset({"root"}), exempt_runtimes=frozenset({"kata"}),
    )  # fmt: skip
    async with admitting(pod_security=config) as api:
        await make(api, kinds.RUNTIME_CLASS, "kata", handler="kata")
        assert (await ask(api, of_spec("a", **PRIVILEGED))).status == 403
        answer = await ask(api, of_spec("b", **PRIVILEGED, runtimeClassName="kata"))
        assert answer.status == 201, answer.doc
        api.user = User("root", ("system:masters",))
        assert (await ask(api, of_spec("c", **PRIVILEGED))).status == 201
        labels = {"labels": {f"{PREFIX}enforce": "restricted"}}
        made = await api("POST", path_of(kinds.NAMESPACE), {"metadata": {"name": "team", **labels}})
        assert "is exempt from Pod Security, and the policy (enforce=restricted:latest)" in (
            made.headers["Warning"].replace('\\"', '"')
        )
        assert (await ask(api, of_spec("d", **PRIVILEGED), "team")).status == 201


async def test_the_audit_log_hears_of_violations() -> None:
    async with audited() as (api, log):
        await namespace(api, audit="baseline")
        assert "Warning" not in (await ask(api, of_spec(**PRIVILEGED), "team")).headers
        await ask(api, of_spec("other"))
        _, violation, other = log.events
        assert violation["annotations"][f"{PREFIX}enforce-policy"] == "privileged:latest"
        assert violation["annotations"][f"{PREFIX}audit-violations"].startswith(
            'would violate PodSecurity "baseline:latest": privileged'
        )
        assert other["annotations"][f"{PREFIX}enforce-policy"] == "privileged:latest"
        assert f"{PREFIX}audit-violations" not in other["annotations"]
