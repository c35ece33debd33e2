"""What NetworkPolicies cost a node: processor time of one change among 1,000 policies and 10,000
pods, and of the same change in the kernel."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.table import Figure
from longshore.core.objects.kinds import Doc
from longshore.machinery.network import namespaces
from longshore.machinery.network.policy import nft
from longshore.machinery.network.policy.model import Pod, key_of, pod_of, policy_of
from longshore.machinery.network.policy.plan import Book
from longshore.machinery.network.services.nft import Nft

PODS, POLICIES, NAMESPACES, APPS, HERE = 10_000, 1000, 100, 50, 100
ROUNDS, TIMES = 7, 500
_CIDR = "10.43.0.0/24"


async def figures() -> list[Figure]:
    book, table = Book(), nft.Table()
    _fill(book)
    table.transaction(book.take())
    found = list(_planned(book, table))
    # What the measured changes left is the state that the kernel is given.
    table = nft.Table()
    whole = nft.base(_CIDR) + table.transaction(book.whole())
    return [*found, *(_in_kernel(book, table, whole) if os.geteuid() == 0 else ())]


def _fill(book: Book) -> None:
    for number in range(NAMESPACES):
        book.members.put_namespace(f"ns{number}", {"team": f"t{number}"})
    for number in range(PODS):
        doc = _pod(number)
        book.put_pod(key_of(doc), pod_of(doc))
        if number < HERE:
            book.put_local(pod_of(doc, f"10.43.0.{number + 2}"), doc["metadata"]["name"])
    for number in range(POLICIES):
        doc = _policy(number)
        book.put_policy(key_of(doc), policy_of(doc))


def _pod(number: int, tier: str = "a") -> Doc:
    metadata = {
        "namespace": f"ns{number % NAMESPACES}", "name": f"p{number}", "uid": f"u{number}",
        "labels": {"app": f"a{number // NAMESPACES % APPS}", "tier": tier},
    }  # fmt: skip
    address = f"10.42.{number // 250}.{number % 250 + 2}"
    return {
        "metadata": metadata,
        "spec": {"containers": []},
        "status": {"phase": "Running", "podIP": address},
    }


def _policy(number: int) -> Doc:
    """Of the apps of its namespace: one of them, and a whole other namespace, come in; what has a
    tier of all namespaces may be gone to."""
    neighbour = {"namespaceSelector": {"matchLabels": {"team": f"t{number * 7 % NAMESPACES}"}}}
    friend = {"podSelector": {"matchLabels": {"app": f"a{number % APPS}"}}}
    tier = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"tier": "a"}}}
    selected = {"matchLabels": {"app": f"a{number // NAMESPACES % APPS}"}}
    return {
        "metadata": {"namespace": f"ns{number % NAMESPACES}", "name": f"policy{number}"},
        "spec": {
            "podSelector": selected, "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [friend, neighbour], "ports": [{"port": 80}]}],
            "egress": [{"to": [tier]}],
        },
    }  # fmt: skip


def _versions(number: int) -> list[Pod]:
    """The pod with one label and with another, in turns."""
    return [pod_of(_pod(number, tier)) for tier in "ba"]


def _planned(book: Book, table: nft.Table) -> Iterator[Figure]:
    among = f"among {POLICIES:,} policies and {PODS:,} pods"
    for what, number in (("of another node", PODS - 1), ("of this node", 1)):
        key, versions = key_of(_pod(number)), _versions(number)

        def change(turn: int, key: tuple[str, str] = key, pods: list[Pod] = versions) -> None:
            book.put_pod(key, pods[turn % 2])
            table.transaction(book.take())

        yield Figure(f"policies: a pod {what} changes, planned", _each(change), "us", note=among)
    doc = _policy(0)
    open_to_all = {**doc, "spec": {**doc["spec"], "egress": [{}]}}
    policies = [policy_of(one) for one in (open_to_all, doc)]

    def rule(turn: int) -> None:
        book.put_policy(key_of(doc), policies[turn % 2])
        table.transaction(book.take())

    yield Figure("policies: a policy changes, planned", _each(rule), "us", note=among)


def _each(work: Callable[[int], None]) -> float:
    """Microseconds of processor time for one, in the best round."""
    best = float("inf")
    for _ in range(ROUNDS):
        before = time.process_time()
        for turn in range(TIMES):
            work(turn)
        best = min(best, time.process_time() - before)
    return best / TIMES * 1e6


def _in_kernel(book: Book, table: nft.Table, whole: str) -> Iterator[Figure]:
    with TemporaryDirectory() as folder:
        namespaces.create(place := Path(folder) / "node")
        try:
            with namespaces.entered(place):
                kernel = Nft()
            yield from _transactions(kernel, book, table, whole)
            kernel.close()
        finally:
            namespaces.delete(place)


def _transactions(kernel: Nft, book: Book, table: nft.Table, whole: str) -> Iterator[Figure]:
    before = time.perf_counter()
    kernel.run(whole)
    took = (time.perf_counter() - before) * 1e3
    yield Figure("policies: all of a node's, into the kernel", took, "ms",
                 note=f"{HERE} pods, {len(whole) >> 10:,} KB of commands")  # fmt: skip
    key, versions, times = key_of(_pod(PODS - 1)), _versions(PODS - 1), []
    for turn in range(50):
        book.put_pod(key, versions[turn % 2])
        commands = table.transaction(book.take())
        before = time.perf_counter()
        kernel.run(commands)
        times.append(time.perf_counter() - before)
    yield Figure("policies: a pod changes, in the kernel, p50", sorted(times)[25] * 1e3, "ms")
