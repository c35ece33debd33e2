"""The life of pods: hooks, deadlines, deletion, ephemeral containers, generations.

Upstream: test/e2e/common/node/{lifecycle_hook,pods,ephemeral_containers,kubelet,pod_admission}.go,
test/e2e/node/{pods,pre_stop}.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from ..driver import Cluster, eventually
from .playing import Api, Case, Change, Doc, Played, container, namespace, play, pod, running

pytestmark = [pytest.mark.root, pytest.mark.slow]

FOREVER = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
# Says on its standard error who asked for what.
_ANSWER = 'read line; echo "$line" >&2; printf "HTTP/1.0 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n"'
SERVER = Case(
    "server",
    pod(
        {
            "name": "main",
            "image": "busybox:1.36",
            "command": ["busybox", "nc", "-ll", "-p", "8080", "-e", "/bin/sh", "-c", _ANSWER],
        }
    ),
    phase="Running",
    until=running,
)


def one_debugger(name: str, script: str) -> Change:
    """Adds an ephemeral container to the pod `debugged`."""
    return Change(
        "patch",
        "Pod",
        "debugged",
        {"spec": {"ephemeralContainers": [container(script, name=name)]}},
        "ephemeralcontainers",
    )


def debugged(pod: Doc) -> bool:
    """Both debuggers have ended."""
    statuses = pod["status"].get("ephemeralContainerStatuses") or []
    return [bool(one["state"].get("terminated")) for one in statuses] == [True, True]


def quality(name: str, **resources: Doc) -> Case:
    return Case(name, pod(container("true", resources=resources)))


SMALL = {"cpu": "50m", "memory": "16Mi"}
QUALITIES = {
    "guaranteed": quality("guaranteed", requests=SMALL, limits=SMALL),
    "burstable": quality("burstable", requests=SMALL, limits={**SMALL, "cpu": "100m"}),
    "besteffort": quality("besteffort"),
}
CASES = [
    SERVER,
    *QUALITIES.values(),
    Case(
        "debugged",
        pod(container(FOREVER)),
        {"first": "polo\n", "second": "marco\n"},
        phase="Running",
        changes=(one_debugger("first", "echo polo"), one_debugger("second", "echo marco")),
        until=debugged,
    ),
    Case(
        "deadline",
        pod(container(FOREVER)),
        phase="Failed",
        changes=(Change("patch", "Pod", "deadline", {"spec": {"activeDeadlineSeconds": 1}}),),
    ),
    Case(
        "relabelled",
        pod(container(FOREVER)),
        phase="Running",
        metadata={"labels": {"time": "one"}},
        changes=(Change("patch", "Pod", "relabelled", {"metadata": {"labels": {"time": "two"}}}),),
        until=lambda pod: bool(pod["metadata"]["labels"]["time"] == "two"),
    ),
    Case("failing", pod(container("false"), restartPolicy="Always"), phase="Running",
         until=lambda pod: pod["status"].get("containerStatuses", [{}])[0].get("restartCount", 0) >= 1),
    Case("failed", pod(container("false")), phase="Failed"),
]  # fmt: skip


@pytest.fixture(scope="module")
def played(cluster: Cluster) -> Iterator[Played]:
    with namespace(cluster, "life") as api:
        yield play(api, CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_comes_so_far(played: Played, case: Case) -> None:
    played.check(case)


@pytest.mark.parametrize("name", QUALITIES)
def test_quality_of_service(played: Played, name: str) -> None:
    assert played.pod(name)["status"]["qosClass"].lower() == name


def test_a_deadline_may_be_set_on_a_running_pod(played: Played) -> None:
    status = played.pod("deadline")["status"]
    assert status["reason"] == "DeadlineExceeded"


def test_a_failed_container_says_why(played: Played) -> None:
    (status,) = played.pod("failed")["status"]["containerStatuses"]
    assert status["state"]["terminated"]["reason"] == "Error"
    assert status["state"]["terminated"]["exitCode"] == 1


def test_debuggers_change_nothing_for_the_pod(played: Played) -> None:
    """Neither ready, nor counted, nor in the way of the container that there was."""
    seen = played.pod("debugged")
    assert {one["name"] for one in seen["spec"]["ephemeralContainers"]} == {"first", "second"}
    assert "running" in seen["status"]["containerStatuses"][0]["state"]


# --- hooks: a server elsewhere hears of each ---


def hooked(kind: str, hook: str, ip: str) -> Doc:
    path = f"/{kind}-{hook}"
    exec_ = {"exec": {"command": ["wget", "-q", "-O", "-", f"http://{ip}:8080{path}"]}}
    http = {"httpGet": {"host": ip, "port": 8080, "path": path}}
    lifecycle = {kind: exec_ if hook == "exec" else http}
    return pod(container(FOREVER, lifecycle=lifecycle), terminationGracePeriodSeconds=20)


HOOKS = [(kind, hook) for kind in ("postStart", "preStop") for hook in ("exec", "http")]


@pytest.fixture(scope="module")
def heard(played: Played) -> list[str]:
    """The requests that the server has got when all pods with hooks came and went."""
    api, ip = played.api, played.pod("server")["status"]["podIP"]
    cases = [
        Case(f"{kind}-{hook}".lower(), hooked(kind, hook, ip), until=running)
        for kind, hook in HOOKS
    ]
    play(api, cases)
    api.delete({case.name for case in cases})
    return api.log("server", "main").split("\n")


@pytest.mark.parametrize(("kind", "hook"), HOOKS)
def test_hooks(heard: list[str], kind: str, hook: str) -> None:
    assert [line.split()[:2] for line in heard if f"/{kind}-{hook}" in line] == [
        ["GET", f"/{kind}-{hook}"]
    ]


# --- what is done to single pods ---


def made(api: Api, name: str, spec: Doc, **metadata: Any) -> Doc:
    doc = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec}
    return dict(api.create(doc))


def test_a_pod_that_always_fails_can_be_deleted(played: Played) -> None:
    played.api.delete({"failing"})


def test_a_pod_is_made_watched_and_removed(played: Played) -> None:
    """Its deletion is announced first, with a grace, and told when it is done."""
    api = played.api
    made(api, "watched", pod(container(FOREVER), terminationGracePeriodSeconds=20))
    types: list[str] = []
    for event in api.events():
        doc = event["raw_object"]
        if doc["metadata"]["name"] != "watched":
            continue
        types.append(event["type"])
        if doc["status"].get("phase") == "Running" and "deletionTimestamp" not in doc["metadata"]:
            api.call("DELETE", api.path("Pod", "watched"))
        if event["type"] == "DELETED":
            assert doc["metadata"]["deletionGracePeriodSeconds"] in (0, 20)
            break
    assert (types[0], types[-1]) == ("ADDED", "DELETED")
    with pytest.raises(ApiException) as gone:
        api.call("GET", api.path("Pod", "watched"))
    assert gone.value.status == 404


def test_many_are_deleted_by_their_label(played: Played) -> None:
    api, names = played.api, {"many-1", "many-2", "many-3"}
    for name in names:
        made(api, name, pod(container(FOREVER)), labels={"many": "yes"})
    api.delete(names, "labelSelector=many%3Dyes")


def test_a_status_is_written_by_itself(played: Played) -> None:
    """Conditions of one's own stay beside those of the node."""
    api = played.api
    condition = {"type": "example.com/Seen", "status": "True", "reason": "Tested"}
    api.change(
        Change("patch", "Pod", "relabelled", {"status": {"conditions": [condition]}}, "status")
    )
    status = api.call("GET", api.path("Pod", "relabelled", "status"))["status"]
    found = {one["type"]: one for one in status["conditions"]}
    assert found["example.com/Seen"]["reason"] == "Tested"
    assert found["Ready"]["status"] == "True"


def test_an_inline_csi_volume_is_kept_as_it_was_written(played: Played) -> None:
    """No node has its driver, so that the pod stays where it is: in the API."""
    api = played.api
    volume = {"name": "v", "csi": {"driver": "e2e.example.com", "readOnly": True,
                                   "volumeAttributes": {"foo": "bar"}}}  # fmt: skip
    made(api, "inline", pod(container("true"), volumes=[volume], nodeSelector={"no": "node"}))
    assert api.call("GET", api.path("Pod", "inline"))["spec"]["volumes"] == [volume]
    api.change(Change("patch", "Pod", "inline", {"metadata": {"labels": {"patched": "yes"}}}))
    listed = api.call("GET", f"{api.path('Pod')}?labelSelector=patched%3Dyes")["items"]
    assert [one["metadata"]["name"] for one in listed] == ["inline"]
    api.delete({"inline"})


# --- generations (KEP-5067) ---


async def test_the_generation_of_a_new_pod_is_one_whatever_it_says(played: Played) -> None:
    api = played.api
    seen = made(
        api, "generation", pod(container(FOREVER), terminationGracePeriodSeconds=20), generation=100
    )
    assert seen["metadata"]["generation"] == 1

    def observed() -> int:
        doc = api.call("GET", api.path("Pod", "generation"))
        return int(doc["status"].get("observedGeneration", 0))

    await eventually(lambda: observed() == 1, "the first generation is observed")
    for seconds in range(600, 550, -1):
        deadline = {"spec": {"activeDeadlineSeconds": seconds}}
        api.change(Change("patch", "Pod", "generation", deadline))
    await eventually(lambda: observed() == 51, "the last of fifty more is observed")
    api.change(Change("patch", "Pod", "generation", {"metadata": {"labels": {"a": "b"}}}))
    assert api.call("GET", api.path("Pod", "generation"))["metadata"]["generation"] == 51
    going = api.call("DELETE", api.path("Pod", "generation"))
    assert going["metadata"]["generation"] == 52
