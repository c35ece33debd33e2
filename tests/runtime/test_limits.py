"""What control groups are told, in both versions; the sysctls of namespaces; profiles of both forms. Pure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.machinery.runtime.oci.limits import Write, besides, weight, writes_v1, writes_v2
from longshore.machinery.runtime.oci.seccomp_files import Circumstances, from_file
from longshore.machinery.runtime.oci.sysctls import not_the_pods_own, path_of
from longshore.machinery.runtime.protocol import Resources

LIMITS = Resources(512, 1500, 1 << 30, 100, "0-1")


def said(writes: list[Write]) -> dict[str, str]:
    return {write.file: write.value for write in writes}


def test_version_one_is_told_everything() -> None:
    assert said(writes_v1(LIMITS)) == {
        "memory.limit_in_bytes": str(1 << 30),
        "pids.max": "100",
        "cpuset.cpus": "0-1",
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_quota_us": "150000",
        "cpu.shares": "512",
    }


def test_version_two_is_told_everything() -> None:
    assert said(writes_v2(LIMITS)) == {
        "memory.max": str(1 << 30),
        "pids.max": "100",
        "cpuset.cpus": "0-1",
        "cpu.max": "150000 100000",
        "cpu.weight": "20",
    }


def test_what_is_not_limited_is_said_to_be_free() -> None:
    assert said(writes_v1(Resources())) == {
        "memory.limit_in_bytes": "-1", "pids.max": "max", "cpuset.cpus": "", "cpu.cfs_quota_us": "-1",
    }  # fmt: skip
    assert said(writes_v2(Resources())) == {
        "memory.max": "max", "pids.max": "max", "cpuset.cpus": "\n", "cpu.max": "max 100000",
    }  # fmt: skip


def test_memory_is_asked_first_since_it_may_be_refused() -> None:
    assert writes_v1(LIMITS)[0].controller == writes_v2(LIMITS)[0].controller == "memory"


@given(st.integers(-5, 1 << 20), st.integers(-5, 1 << 20))
def test_weights_are_in_order_and_in_range(one: int, other: int) -> None:
    assert 1 <= weight(one) <= 10_000
    assert (weight(one) <= weight(other)) or one > other


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("kernel.msgmax", "kernel/msgmax"),
        ("kernel/msgmax", "kernel/msgmax"),
        ("net.ipv4.conf.eth0/1.mtu", "net/ipv4/conf/eth0.1/mtu"),
        ("net/ipv4/conf/eth0.1/mtu", "net/ipv4/conf/eth0.1/mtu"),
    ],
)
def test_sysctls_are_written_with_dots_or_slashes(name: str, path: str) -> None:
    assert path_of(name) == path


@pytest.mark.parametrize(
    "name", ["vm.swappiness", "kernel.panic", "fs.file-max", "netx.a", "net/../vm/a", "kernel"]
)
def test_what_is_the_nodes_is_not_the_pods(name: str) -> None:
    words = not_the_pods_own([name], host_network=False, host_ipc=False)
    assert words == f'sysctl "{name}" is not in a namespace of the pod'


@pytest.mark.parametrize(
    "name", ["net.ipv4.tcp_syncookies", "kernel.shmmax", "kernel/sem", "fs.mqueue.msg_max"]
)
def test_what_is_the_pods_is_so_unless_it_shares_the_namespace(name: str) -> None:
    assert not_the_pods_own([name], host_network=False, host_ipc=False) == ""
    words = not_the_pods_own([name], host_network=True, host_ipc=True)
    assert words.startswith(f'sysctl "{name}" is not allowed in the host ')


# -- profiles ----------------------------------------------------------------------------------

HERE = Circumstances(frozenset({"CHOWN"}), "x86_64", "6.1.0-18-amd64")


def names(*rules: dict[str, Any]) -> list[str]:
    found = from_file({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": list(rules)}, HERE)
    return [name for rule in found["syscalls"] for name in rule["names"]]


def rule(name: str, **more: Any) -> dict[str, Any]:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", **more}


def test_a_profile_in_the_runtimes_own_form_is_kept() -> None:
    given_ = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
            rule("socket", args=[{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}], errnoRet=2)
        ],
    }
    assert from_file(given_, HERE) == given_


@pytest.mark.parametrize(
    ("condition", "applies"),
    [
        ({"includes": {"caps": ["CAP_CHOWN"]}}, True),
        ({"includes": {"caps": ["CAP_CHOWN", "CAP_SYS_ADMIN"]}}, False),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN", "CAP_CHOWN"]}}, False),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}, True),
        ({"includes": {"arches": ["arm64"]}}, False),
        ({"includes": {"arches": ["amd64", "x32"]}}, True),
        ({"excludes": {"arches": ["amd64"]}}, False),
        ({"includes": {"minKernel": "4.8"}}, True),
        ({"includes": {"minKernel": "6.2"}}, False),
        ({"excludes": {"minKernel": "4.8"}}, False),
        ({"includes": {}, "excludes": None}, True),
    ],
)
def test_rules_of_dockers_form_hold_under_their_conditions(
    condition: dict[str, Any], applies: bool
) -> None:
    assert names(rule("a", **condition), rule("b")) == (["a", "b"] if applies else ["b"])


def test_dockers_form_names_one_call_or_many_and_its_architectures() -> None:
    found = from_file(
        {
            "defaultAction": "SCMP_ACT_ERRNO",
            "archMap": [
                {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X32"]}
            ],
            "syscalls": [{"name": "old", "action": "SCMP_ACT_ALLOW", "args": None, "comment": "x"}],
        },
        HERE,
    )
    assert found["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"]
    assert found["syscalls"] == [{"names": ["old"], "action": "SCMP_ACT_ALLOW"}]


@pytest.mark.parametrize(
    "document", [[], {}, None, {"defaultAction": "x", "syscalls": ["a"]},
                 {"defaultAction": "x", "syscalls": [{"names": ["a"]}]}],
)  # fmt: skip
def test_what_is_no_profile_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match=r"it has no defaultAction|a rule"):
        from_file(document, HERE)


def test_a_group_of_version_2_ends_whole_and_does_not_swap() -> None:
    assert besides(swaps=True) == {"memory.oom.group": "1", "memory.swap.max": "0"}
    assert besides(swaps=False) == {"memory.oom.group": "1"}
