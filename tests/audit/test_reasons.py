"""What the audit log tells of why something was allowed or not, and how a command ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.base.users import User
from longshore.core.registry.permission.union import NODE, RBAC
from longshore.core.registry.registry import RegistryConfig
from longshore.core.streams.spdy.frames import Data, Encoder, Frame, Open, Opened
from longshore.doors.kit.channels import PROTOCOLS, exit_status
from longshore.doors.kubernetes.audit.auditor import Auditor
from longshore.doors.kubernetes.audit.policy import parse
from longshore.doors.kubernetes.door import DoorConfig
from longshore.doors.kubernetes.endings import SocketListener, SpdyListener
from longshore.testing.clock import VirtualClock, settle

from ..contract.test_rule_44_streams import EXEC, messages, world
from ..doors.rig import ADMIN, Kube, config_map, kube, pod
from ..permission.rig import JANE, ROBOT, binding, made, node, role, rule
from ..permission.rig import RBAC as ROLES
from ..permission.test_outside import Oracle
from .test_auditor import Kept

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
EVERYTHING = {
    "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}  # fmt: skip


def auditor(log: Kept) -> Auditor:
    return Auditor(parse(EVERYTHING), log, VirtualClock())


@asynccontextmanager
async def told(registry: RegistryConfig | None = None) -> AsyncIterator[tuple[Kube, Kept]]:
    log = Kept()
    door = DoorConfig(auditor=auditor(log))
    async with kube(door, roles=True, registry_config=registry) as ask:
        yield ask, log


def said(log: Kept) -> tuple[str, str]:
    """Decision and reason of the last line."""
    notes = log.events[-1]["annotations"]
    key = "authorization.k8s.io/"
    return notes[f"{key}decision"], notes[f"{key}reason"]


async def test_it_is_told_by_which_binding() -> None:
    async with told() as (ask, log):
        await made(ask, f"{ROLES}/clusterrolebindings", binding("all-view", "view", "group:dev"))
        there = f"{ROLES}/namespaces/default"
        await made(ask, f"{there}/roles", role("maker", rule("create", "configmaps")))
        robots = binding("robots", "maker", "account:default/robot", kind="Role")
        await made(ask, f"{there}/rolebindings", robots)
        ask.user = JANE
        await ask("GET", f"{MAPS}/a")
        why = 'RBAC: allowed by ClusterRoleBinding "all-view" of ClusterRole "view" to Group "dev"'
        assert said(log) == ("allow", why)
        await ask("GET", "/version")
        assert said(log)[1].startswith('RBAC: allowed by ClusterRoleBinding "system:')
        ask.user = ROBOT
        await ask("POST", MAPS, config_map("a"))
        why = (
            'RBAC: allowed by RoleBinding "robots/default" of Role "maker" to ServiceAccount '
            '"robot/default"'
        )
        assert said(log) == ("allow", why)
        await ask("GET", f"{MAPS}/a")
        assert (log.events[-1]["responseStatus"]["code"], said(log)) == (403, ("forbid", ""))


async def test_the_reason_is_that_of_now() -> None:
    """What is remembered of bindings ends with them."""
    async with told() as (ask, log):
        path = f"{ROLES}/clusterrolebindings"
        for name in ("first", "second"):
            await made(ask, path, binding(name, "view", "user:jane"))
            ask.user = JANE
            await ask("GET", MAPS)
            assert f'"{name}"' in said(log)[1]
            ask.user = ADMIN
            assert (await ask("DELETE", f"{path}/{name}")).status == 200
        ask.user = JANE
        await ask("GET", MAPS)
        assert said(log) == ("forbid", "")


async def test_masters_may_without_a_reason_and_nodes_hear_why_not() -> None:
    async with told() as (ask, log):
        await ask("GET", MAPS)
        assert said(log) == ("allow", "")
        ask.user = node("n1")
        await ask("GET", "/api/v1/nodes/n1")
        assert said(log) == ("allow", "")
        answer = await ask("GET", "/api/v1/namespaces/default/secrets/s")
        assert answer.status == 403
        decision, why = said(log)
        assert decision == "forbid" and why and answer.doc["message"].endswith(f": {why}")


async def test_what_is_refused_later_was_allowed_first() -> None:
    async with told() as (ask, log):
        assert (await ask("POST", MAPS, b"{")).status == 400
        assert said(log)[0] == "allow"
        ask.user = User("nobody", ("system:authenticated",))
        assert (await ask("POST", MAPS, b"{")).status == 403
        assert said(log)[0] == "forbid"
        assert (await ask("GET", "/apis/none.example/v1/things")).status == 403
        assert said(log)[0] == "forbid"


async def test_outside_authorizers_give_reasons_and_are_asked_once() -> None:
    oracle = Oracle({"allowed": True, "reason": "she is known"})
    async with told(RegistryConfig(authorizers=[NODE, RBAC, oracle.stage])) as (ask, log):
        ask.user = JANE
        assert (await ask("GET", f"{MAPS}?fieldSelector=metadata.name=a")).status == 200
        assert said(log) == ("allow", "she is known")
        assert len(oracle.asked) == 1


@pytest.mark.parametrize(
    ("level", "policy"), [("", "privileged:latest"), ("baseline", "baseline:latest")]
)
async def test_the_standard_that_a_pod_was_held_to(level: str, policy: str) -> None:
    async with told() as (ask, log):
        labels = {"pod-security.kubernetes.io/enforce": level} if level else {}
        namespace = {"metadata": {"name": "team", "labels": labels}}
        await made(ask, "/api/v1/namespaces", namespace)
        doc = pod("p")
        doc["metadata"]["namespace"] = "team"
        assert (await ask("POST", "/api/v1/namespaces/team/pods", doc)).status == 201
        notes = log.events[-1]["annotations"]
        assert notes["pod-security.kubernetes.io/enforce-policy"] == policy


# --- how commands end ---


@pytest.mark.parametrize(("method", "code"), [("GET", "3"), ("POST", "0")])
async def test_the_last_line_of_a_talk_has_the_exit_code(
    tmp_path: Path, method: str, code: str
) -> None:
    log = Kept()
    async with world(tmp_path, auditor(log)) as it:
        path = f"{EXEC}?command=exit&command={code}&stdout=true"
        await messages(await it.open(path, "v5.channel.k8s.io", method=method))
        async with asyncio.timeout(60):
            while len(talked := [e for e in log.events if "exec" in e["requestURI"]]) < 2:
                await settle(1)
        started, complete = talked
        assert [started["stage"], complete["stage"]] == ["ResponseStarted", "ResponseComplete"]
        assert "longshore.io/exit-code" not in started["annotations"]
        notes = complete["annotations"]
        assert notes["longshore.io/command"] == f"exit {code}"
        assert notes["longshore.io/exit-code"] == code
        assert notes["authorization.k8s.io/decision"] == "allow"


def frame(payload: bytes, opcode: int = 2, *, last: bool = True) -> bytes:
    size = len(payload)
    short = size if size < 126 else 126 if size < 1 << 16 else 127
    width = {126: 2, 127: 8}.get(short, 0)
    head = bytes([opcode | (128 if last else 0), short])
    return head + (size.to_bytes(width, "big") if width else b"") + payload


def ended(code: int, text: bool = False) -> bytes:
    name = "v4.base64.channel.k8s.io" if text else "v5.channel.k8s.io"
    return PROTOCOLS[name].encode(3, orjson.dumps(exit_status(code)))


OUTPUT = frame(b"\x01" + b"x" * 70_000) + frame(b"\x01\x03") + frame(b"", 9) + frame(b"\x03", 9)
V5 = "v5.channel.k8s.io"


@pytest.mark.parametrize("step", [1, 2, 7, 4096, 1 << 20])
@pytest.mark.parametrize(
    ("protocol", "data", "code"),
    [
        (V5, OUTPUT + frame(ended(137)) + frame(b"\xff\x01"), "137"),
        (V5, frame(ended(0)[:9], last=False) + frame(b"p", 9) + frame(ended(0)[9:], 0), "0"),
        ("v4.base64.channel.k8s.io", frame(ended(2, text=True), 1), "2"),
        (V5, OUTPUT, ""),
        (V5, frame(b"\x03no JSON"), ""),
        (V5, frame(b'\x03{"status":"Failure","details":7}'), ""),
        (V5, frame(b'\x03{"details":{"causes":[{"message":"x"},3]}}'), ""),
        ("channel.k8s.io", frame(b"\x03command terminated with exit code 1"), ""),
    ],
)
def test_ends_are_overheard_however_they_come(
    protocol: str, data: bytes, code: str, step: int
) -> None:
    listener = SocketListener(protocol)
    for start in range(0, len(data), step):
        listener.hear(data[start : start + step])
    assert listener.exit_code == code


def test_what_is_kept_is_bounded() -> None:
    listener = SocketListener(V5)
    for _ in range(100):
        listener.hear(frame(b"\x03" + b"x" * 60_000, last=False))
    assert len(listener._kept) <= 65_536


@given(st.integers(1, 40), st.sampled_from([0, 7, 137]))
def test_an_exit_code_is_heard_over_spdy(size: int, code: int) -> None:
    client, node, listener = Encoder(), Encoder(), SpdyListener()
    opened: list[Frame] = [Open(1, {"streamtype": "stdout"}), Open(3, {"streamtype": "error"})]
    status = orjson.dumps(exit_status(code))
    said: list[Frame] = [Opened(1, {}), Data(1, b"seven"), Data(3, status, fin=True)]
    for told, frames in (
        (listener.overhear, b"".join(map(client.encode, opened))),
        (listener.hear, b"".join(map(node.encode, said))),
    ):
        for at in range(0, len(frames), size):
            told(frames[at : at + size])
    assert listener.exit_code == str(code)


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_bytes_that_are_no_spdy_tell_nothing(pieces: list[bytes]) -> None:
    listener = SpdyListener()
    for piece in pieces:
        listener.overhear(piece)
        listener.hear(piece)
    assert listener.exit_code == ""
