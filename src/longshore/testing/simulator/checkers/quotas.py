"""Quotas are never exceeded by what is created after them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction

from longshore.core.objects.kinds import Doc
from longshore.testing.simulator.checkers.placement import amount, is_over, requests
from longshore.testing.simulator.record import Record, Violation

_QUOTAS = "/core/resourcequotas/"
_COUNTED = ("/core/pods/", "/core/configmaps/")


def within(record: Record) -> Iterator[Violation]:
    """After each create in a namespace with a quota, what is there is within it, or it was beyond it
    already before the quota came."""
    hard: dict[str, dict[str, Fraction]] = {}
    used: dict[str, dict[str, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    there: dict[str, dict[str, Fraction]] = {}
    for entry, doc in record.decoded():
        namespace = entry.key.split("/")[3]
        if entry.key.startswith(_QUOTAS):
            hard[namespace] = {} if doc is None else _limits(doc)
        if not entry.key.startswith(_COUNTED):
            continue
        before = there.pop(entry.key, None)
        for name, value in (before or {}).items():
            used[namespace][name] -= value
        if doc is None:
            continue
        there[entry.key] = _charge(entry.key, doc)
        for name, value in there[entry.key].items():
            used[namespace][name] += value
        if before is None:
            yield from _judged(entry.key, entry.revision, used[namespace], hard.get(namespace, {}))


def _limits(quota: Doc) -> dict[str, Fraction]:
    return {name: amount(text) for name, text in (quota["spec"].get("hard") or {}).items()}


def _charge(key: str, doc: Doc) -> dict[str, Fraction]:
    if not key.startswith("/core/pods/"):
        return {"count/configmaps": Fraction(1)}
    # Upstream forgives pods that should be gone by now (pkg/quota/v1/evaluator/core QuotaV1Pod).
    if is_over(doc) or "deletionTimestamp" in doc["metadata"]:
        return {}
    asked = requests(doc)
    return {"pods": Fraction(1), "requests.cpu": asked["cpu"]}


def _judged(
    key: str, revision: int, used: dict[str, Fraction], hard: dict[str, Fraction]
) -> Iterator[Violation]:
    for name, limit in hard.items():
        if used[name] > limit:
            sentence = (
                f"{key} was created at {revision}: {float(used[name])} {name} of {float(limit)}"
            )
            yield Violation("quota", sentence, (key,))
