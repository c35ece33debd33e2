"""What the CRI is told: users, profiles, limits, mounts; and what a runtime tells of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from longshore.machinery.runtime.cri import plan
from longshore.machinery.runtime.cri import rpc_pb2 as rpc
from longshore.machinery.runtime.cri.about import about
from longshore.machinery.runtime.cri.streaming import exit_code
from longshore.machinery.runtime.protocol import (
    ContainerSpec,
    Image,
    Mount,
    Pids,
    Propagation,
    Resources,
    RuntimeFailure,
    Sandbox,
    SandboxSpec,
    Security,
    StartFailed,
)

IMAGE = Image("1" * 64, ("busybox:1",), 1, user="web:7")
SPEC = SandboxSpec(
    "uid", "ns", "pod", "host", "/netns", labels={"app": "web"}, ips=("10.0.0.1",),
    log_directory="/logs/pod", sysctls={"kernel.msgmax": "1"}, pids=Pids.POD, handler="other",
)  # fmt: skip
CONTAINER = ContainerSpec("c", "busybox:1", "/logs/pod/c/0.log")


def secured(**asked: Any) -> rpc.ContainerSecurity:
    spec = replace(CONTAINER, security=Security(**asked))
    frame = plan.frame_of(SPEC, "/group")
    return plan.container_config(spec, frame, IMAGE, "n1").linux.security_context


@pytest.mark.parametrize(
    ("user", "uid", "name", "gid"),
    [
        ("", None, "", None),
        ("5", 5, "", None),
        ("5:6", 5, "", 6),
        ("root", None, "root", None),
        (":6", None, "web", 6),
    ],
)
def test_users_are_numbers_or_names(user: str, uid: int | None, name: str, gid: int | None) -> None:
    made = secured(user=user)
    assert (made.run_as_user.value if made.HasField("run_as_user") else None) == uid
    assert (made.run_as_group.value if made.HasField("run_as_group") else None) == gid
    assert made.run_as_username == name


def test_groups_are_numbers() -> None:
    with pytest.raises(StartFailed, match='the group "wheel" is not a number'):
        secured(user="5:wheel")


def test_profiles_and_masks() -> None:
    usual = secured()
    assert usual.seccomp.profile_type == rpc.SecurityProfile.RUNTIME_DEFAULT
    assert "/proc/kcore" in usual.masked_paths
    own = secured(seccomp_profile="/profiles/a.json", apparmor_profile="b")
    assert (own.seccomp.localhost_ref, own.apparmor.localhost_ref) == ("/profiles/a.json", "b")
    free = secured(privileged=True)
    assert free.seccomp.profile_type == rpc.SecurityProfile.UNCONFINED
    assert list(free.masked_paths) == []


def test_limits_that_are_not_set_are_left_alone_or_taken_away() -> None:
    limits = Resources(cpu_shares=100, cpu_limit_millis=250, cpuset="0-1")
    made = plan.resources(limits)
    assert (made.cpu_period, made.cpu_quota, made.memory_limit_in_bytes) == (100_000, 25_000, 0)
    assert plan.resources(limits, whole=True).memory_limit_in_bytes == -1
    assert plan.resources(Resources(), whole=True).cpu_quota == -1


def test_a_sandbox_is_read_as_it_was_written() -> None:
    sandbox = Sandbox("uid", "ns", "pod", "/netns", {"app": "web"})
    frame = plan.frame_of(SPEC, "/group")
    config = plan.sandbox_config(sandbox, frame, "n1", 2)
    assert config.metadata.attempt == 2
    assert config.linux.security_context.namespace_options.pid == rpc.POD
    found = rpc.Sandbox(
        metadata=config.metadata, labels=config.labels, annotations=config.annotations
    )
    read = plan.read_sandbox(found)
    assert read is not None
    assert read[0] == sandbox
    assert plan.sandbox_config(*read, "n1", 2) == config
    assert plan.read_sandbox(rpc.Sandbox()) is None


def test_mounts_and_logs() -> None:
    mounts = (
        Mount("/here", "/there", read_only=True, propagation=Propagation.FROM_HOST),
        Mount("/sub", "/image", image="busybox:1"),
    )
    spec = replace(CONTAINER, mounts=mounts, pid_of="x")
    made = plan.container_config(spec, plan.frame_of(SPEC, "/group"), IMAGE, "n1", "id-of-x")
    assert made.log_path == "c/0.log"
    bound, image = made.mounts
    assert (bound.host_path, bound.readonly, bound.propagation) == ("/here", True, 1)
    assert (image.image.image, image.image_sub_path, image.readonly) == ("busybox:1", "sub", True)
    options = made.linux.security_context.namespace_options
    assert (options.pid, options.target_id) == (rpc.TARGET, "id-of-x")


def told(**config: object) -> rpc.StatusResponse:
    return rpc.StatusResponse(info={"config": orjson.dumps(config).decode()})


def test_what_a_runtime_says_of_itself() -> None:
    version = rpc.VersionResponse(runtime_name="containerd", runtime_version="v2.1.4")
    found = about(version, told(sandboxImage="pause:1"))
    assert (found.name, found.own_image) == ("containerd v2.1.4", "pause:1")
    assert (found.image_mounts, found.strict_groups) == (True, False)
    older = rpc.VersionResponse(runtime_name="containerd", runtime_version="1.6.20~ds1")
    assert not about(older, told()).image_mounts


def test_a_runtime_that_cannot_be_used_is_named() -> None:
    version = rpc.VersionResponse(runtime_name="containerd", runtime_version="1.7.0")
    runc = {"options": {"SystemdCgroup": True}}
    with pytest.raises(RuntimeFailure, match="set SystemdCgroup = false"):
        about(version, told(containerd={"runtimes": {"runc": runc}}))
    lacking = rpc.RuntimeCondition(type="NetworkReady", status=False, message="no plugin")
    status = rpc.StatusResponse(status=rpc.RuntimeStatus(conditions=[lacking]))
    with pytest.raises(RuntimeFailure, match=r"containerd 1\.7\.0 is not ready: no plugin"):
        about(version, status)


def test_how_a_command_ended() -> None:
    assert exit_code(b'{"metadata":{},"status":"Success"}') == 0
    failed = {
        "status": "Failure", "message": "command terminated",
        "details": {"causes": [{"reason": "ExitCode", "message": "7"}]},
    }  # fmt: skip
    assert exit_code(orjson.dumps(failed)) == 7
    with pytest.raises(ConnectionAbortedError, match="no such file"):
        exit_code(orjson.dumps({"status": "Failure", "message": "no such file"}))
    with pytest.raises(ConnectionAbortedError, match="did not say how it ended"):
        exit_code(b"")
