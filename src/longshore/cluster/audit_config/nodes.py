"""Controls about the agents (4.2, 4.3), by what their doors did."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from longshore.cluster.audit_config import doors
from longshore.cluster.audit_config.evidence import ANONYMOUS, ORDINARY, Door, Evidence, Node
from longshore.cluster.audit_config.files import of_nodes
from longshore.cluster.audit_config.verdicts import (
    PASS,
    Check,
    Control,
    Verdict,
    always,
    decided,
    manual,
    not_applicable,
    passed,
)
from longshore.doors.kit.pulse import ServerLimits
from longshore.machinery.kubelet.lifecycle.qos import PIDS_MAX, POD_PIDS_MAX

Judge: TypeAlias = Callable[[Door], Verdict]


def each(judge: Callable[[Node], Verdict]) -> Check:
    """The first verdict on a node that is no pass, with the node's name; else the first."""

    def check(evidence: Evidence) -> Verdict:
        if evidence.nodes is None:
            return manual("only root on the cluster's machine can ask its nodes: run this as root")
        verdicts = [(node.name, judge(node)) for node in evidence.nodes]
        worse = [(name, one) for name, one in verdicts if one.verdict != PASS]
        if worse:
            name, verdict = worse[0]
            return verdict._replace(why=f"{name}: {verdict.why}")
        return passed(f"{len(verdicts)} nodes: {verdicts[0][1].why}") if verdicts else _NO_NODE

    return of_nodes(check)


_NO_NODE = not_applicable("there are no nodes")


def by_door(judge: Judge) -> Check:
    def judged(node: Node) -> Verdict:
        return judge(node.door) if node.door is not None else manual("it does not answer")

    return each(judged)


def _anonymous(door: Door) -> Verdict:
    status = door.statuses[ANONYMOUS]
    return decided(
        status in doors.REFUSED,
        f"without a certificate statistics were refused with {status}",
        f"without a certificate statistics were answered with {status}",
    )


def _not_everybody(door: Door) -> Verdict:
    status = door.statuses[ORDINARY]
    return decided(
        status in doors.REFUSED,
        f"a caller who is not the server, though the cluster's, was refused with {status}",
        f"a caller who is not the server was answered with {status}",
    )


def _no_read_only_port(node: Node) -> Verdict:
    good = "nobody listens on port 10255"
    return decided(not node.read_only_port, good, "port 10255 is open")


_SILENT_S = ServerLimits().talk_stall_s
_NFTABLES = always(not_applicable("Services are routed by nftables; there are no iptables chains"))
_FROM_LIST = always(not_applicable("a node's name is the cluster's own choice, not the machine's"))
_ROTATED = always(
    passed("the agent asks for a new certificate at 70 to 90 % of the old one's life")
)
_LAN = always(not_applicable("nodes are namespaces on a network that the machine alone reaches"))

KUBELET = (
    Control("4.2.1", "agents serve nobody anonymous", by_door(_anonymous)),
    Control("4.2.2", "agents do not allow everything", by_door(_not_everybody)),
    Control("4.2.3", "agents check clients' certificates", by_door(doors.refuses_foreign)),
    Control("4.2.4", "no read-only port", each(_no_read_only_port)),
    Control("4.2.5", "silent streams end", of_nodes(always(
        passed(f"exec and attach end after {_SILENT_S / 3600:g} h of silence"),
    ))),
    Control("4.2.6", "agents look after iptables chains", _NFTABLES),
    Control("4.2.7", "no other host name", _FROM_LIST),
    Control("4.2.8", "Events are not lost", of_nodes(always(
        passed("Events go out in batches, without a rate; repeats are counted, and only a flood is cut"),
    ))),
    Control("4.2.9", "agents show a certificate", by_door(doors.is_known)),
    Control("4.2.10", "agents rotate their client certificate", of_nodes(_ROTATED)),
    Control("4.2.11", "agents rotate their serving certificate", of_nodes(_ROTATED)),
    Control("4.2.12", "strong ciphers of agents", by_door(doors.strong_ciphers)),
    Control("4.2.13", "pods have a limit of processes", of_nodes(always(
        passed(
            f"a container may have {PIDS_MAX} processes and threads, or, where its runtime sets no limit "
            f"and podPidsLimit no other one, all of its pod {POD_PIDS_MAX}"
        ),
    ))),
    Control("4.2.14", "seccomp by default", of_nodes(always(
        passed("a container that names no profile runs with the runtime's default one"),
    ))),
    Control("4.2.15", "agents are reached from known addresses", _LAN),
)  # fmt: skip

PROXY = (
    Control("4.3.1", "the proxy's metrics are on loopback", always(
        not_applicable("the agent is the proxy and opens no port for its metrics"),
    )),
)  # fmt: skip
