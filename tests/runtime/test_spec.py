"""The configuration of a container, users and system calls: pure."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.machinery.runtime.oci.seccomp import profile
from longshore.machinery.runtime.oci.spec import (
    CAPABILITIES,
    DEFAULT_CAPABILITIES,
    Frame,
    Node,
    arguments,
    capabilities,
    configuration,
    environment,
)
from longshore.machinery.runtime.oci.users import ProcessUser, find_user
from longshore.machinery.runtime.protocol import ContainerSpec, Image, Mount, Resources, Security

IMAGE = Image("id", (), 0, entrypoint=("/entry",), command=("cmd",), env=("A=1", "B=2"))
SPEC = ContainerSpec("main", "app", "/logs/main.log")
SHARED = {"network": "/run/netns/a", "ipc": "/ipc", "uts": "/uts"}
FRAME = Frame("host", SHARED, "/shm", "/ls/pod/id", "rootfs")
ALL = frozenset(CAPABILITIES)
PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102::/srv:\nbroken line\nodd:x:y:z::/:\n"
GROUP = "root:x:0:\nweb:x:102:\nmore:x:300:root,web\nbad\n"


@pytest.mark.parametrize(
    ("command", "args", "executed"),
    [
        ((), (), ["/entry", "cmd"]),
        ((), ("x",), ["/entry", "x"]),
        (("/own",), (), ["/own"]),
        (("/own",), ("x",), ["/own", "x"]),
    ],
)
def test_a_command_replaces_entrypoint_and_command(
    command: tuple[str, ...], args: tuple[str, ...], executed: list[str]
) -> None:
    assert arguments(replace(SPEC, command=command, args=args), IMAGE) == executed


def test_nothing_to_execute_is_refused() -> None:
    empty = replace(IMAGE, entrypoint=(), command=())
    with pytest.raises(
        ValueError, match="no command specified: neither the container nor its image"
    ):
        configuration(SPEC, empty, ProcessUser(), FRAME)


def test_the_pods_environment_is_over_the_images() -> None:
    spec = replace(SPEC, env=(("B", "3"), ("HOME", "/x")), tty=True)
    found = environment(spec, IMAGE, "/root", "host")
    assert found[1:] == ["HOSTNAME=host", "HOME=/x", "TERM=xterm", "A=1", "B=3"]


@pytest.mark.parametrize(
    ("wanted", "user"),
    [
        ("", ProcessUser(0, 0, (300,), "/root")),
        ("web", ProcessUser(101, 102, (300,), "/srv")),
        ("101", ProcessUser(101, 102, (300,), "/srv")),
        ("web:more", ProcessUser(101, 300, (), "/srv")),
        ("7", ProcessUser(7, 0, (), "/")),
        ("7:8", ProcessUser(7, 8, (), "/")),
    ],
)
def test_users(wanted: str, user: ProcessUser) -> None:
    assert find_user(wanted, PASSWD, GROUP) == user


def test_an_image_without_accounts_knows_numbers_only() -> None:
    assert find_user("", "", "") == ProcessUser(0, 0, (), "/root")
    with pytest.raises(ValueError, match='no user "web" in /etc/passwd'):
        find_user("web", "", "")
    with pytest.raises(ValueError, match='no group "web" in /etc/group'):
        find_user("1:web", "", "")


names = st.sets(st.sampled_from([*CAPABILITIES, "ALL"]))


@given(names, names, st.sets(st.sampled_from(CAPABILITIES)))
def test_capabilities_are_never_more_than_asked_for(
    add: set[str], drop: set[str], missing: set[str]
) -> None:
    bounding = ALL - missing
    security = Security(add_capabilities=tuple(add), drop_capabilities=tuple(drop))
    if (add - {"ALL"}) & missing:
        with pytest.raises(ValueError, match="is not this machine's to give"):
            capabilities(security, bounding)
        return
    found = set(capabilities(security, bounding))
    assert found <= bounding
    assert "ALL" in add or found <= set(DEFAULT_CAPABILITIES) | add
    assert not found & drop - add
    assert add - {"ALL"} <= found


def test_capabilities_are_read_as_docker_and_kubernetes_write_them() -> None:
    security = Security(add_capabilities=("CAP_NET_ADMIN", "sys_time"), drop_capabilities=("all",))
    assert capabilities(security, ALL) == ["NET_ADMIN", "SYS_TIME"]
    with pytest.raises(ValueError, match='there is no capability "FLY"'):
        capabilities(Security(drop_capabilities=("fly",)), ALL)


def test_limits_are_written_as_runc_reads_them() -> None:
    spec = replace(SPEC, resources=Resources(100, 1500, 1 << 20, 50))
    found = configuration(spec, IMAGE, ProcessUser(), FRAME)["linux"]["resources"]
    assert found == {
        "devices": [{"allow": False, "access": "rwm"}],
        "cpu": {"shares": 100, "period": 100_000, "quota": 150_000},
        "memory": {"limit": 1 << 20},
        "pids": {"limit": 50},
    }


def test_a_container_joins_its_pod_and_nothing_else() -> None:
    found = configuration(SPEC, IMAGE, ProcessUser(), FRAME)["linux"]
    assert {each["type"]: each.get("path") for each in found["namespaces"]} == {
        "pid": None, "mount": None, "network": "/run/netns/a", "ipc": "/ipc", "uts": "/uts",
    }  # fmt: skip
    assert found["cgroupsPath"] == "/ls/pod/id"
    assert "seccomp" in found
    assert "/proc/kcore" in found["maskedPaths"]


def test_a_privileged_container_is_not_confined() -> None:
    frame = replace(FRAME, devices=(Node("/dev/fuse", "c", 10, 229),))
    spec = replace(SPEC, security=Security(privileged=True))
    found = configuration(spec, IMAGE, ProcessUser(), frame)
    linux = found["linux"]
    assert "seccomp" not in linux
    assert linux["maskedPaths"] == linux["readonlyPaths"] == []
    assert linux["devices"][0]["path"] == "/dev/fuse"
    assert len(found["process"]["capabilities"]["bounding"]) == len(CAPABILITIES)


def test_mounts_come_after_the_systems_own() -> None:
    spec = replace(SPEC, mounts=(Mount("/a", "/data", read_only=True),))
    found = configuration(spec, IMAGE, ProcessUser(), FRAME)["mounts"]
    assert found[-1] == {
        "destination": "/data", "type": "bind", "source": "/a", "options": ["rbind", "rprivate", "ro"],
    }  # fmt: skip
    assert json.dumps(found)


def test_dangerous_calls_need_their_capability() -> None:
    def open_to(*held: str) -> set[str]:
        rules = profile(frozenset(held))["syscalls"]
        return {
            name for rule in rules if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]
        }

    plain = open_to(*DEFAULT_CAPABILITIES)
    dangerous = {"mount", "bpf", "unshare", "setns", "reboot", "init_module", "kexec_load", "keyctl",
                 "add_key", "userfaultfd", "perf_event_open", "io_uring_setup", "open_by_handle_at"}  # fmt: skip
    assert not plain & dangerous
    assert {"read", "execve", "openat2", "futex", "chroot", "clone"} <= plain
    assert {"mount", "bpf", "unshare", "setns"} <= open_to("SYS_ADMIN")
    assert "kexec_load" not in open_to(*CAPABILITIES)


def test_on_version_2_a_container_has_its_own_view_of_control_groups() -> None:
    alone = replace(FRAME, unified={"memory.oom.group": "1"})
    for frame, security, own in (
        (alone, Security(), True),
        (alone, Security(privileged=True), False),
        (FRAME, Security(), False),
    ):
        linux = configuration(replace(SPEC, security=security), IMAGE, ProcessUser(), frame)[
            "linux"
        ]
        assert ({"type": "cgroup"} in linux["namespaces"]) is own
        assert linux["resources"].get("unified") == frame.unified
