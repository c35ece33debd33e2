"""PodTolerationRestriction: tolerations that a namespace gives to its pods, and those it allows them
(plugin/pkg/admission/podtolerationrestriction, pkg/util/tolerations)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import orjson

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.meta import qos_class
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks
from longshore.core.registry.admission.surroundings import Surroundings

_DEFAULTS = "scheduler.alpha.kubernetes.io/defaultTolerations"
_ALLOWED = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"
_MEMORY = {
    "key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule",
}  # fmt: skip


def _merge(around: Surroundings, request: Attributes) -> None:
    extra: list[Doc] = []
    if request.verb == "create":
        own = _annotated(request, _DEFAULTS)
        extra += around.config.default_tolerations if own is None else own
    if qos_class(request.doc) != "BestEffort":
        extra.append(dict(_MEMORY))
    spec = request.doc["spec"]
    if extra:
        spec["tolerations"] = merged([*(spec.get("tolerations") or ()), *extra])


def _allowed(around: Surroundings, request: Attributes) -> None:
    given = request.doc["spec"].get("tolerations") or ()
    own = _annotated(request, _ALLOWED)
    allowed = around.config.tolerations_allowed if own is None else own
    if allowed and not all(any(covers(one, given_one) for one in allowed) for given_one in given):
        scope = "cluster" if own is None else "namespace"
        raise request.forbidden(
            "pod tolerations (possibly merged with namespace default tolerations) conflict with its "
            f"{scope} whitelist"
        )


def _annotated(request: Attributes, key: str) -> list[Doc] | None:
    """The tolerations that an annotation of the namespace lists; None if it has none."""
    namespace = request.cache.get(kinds.NAMESPACE, "", request.namespace) or {"metadata": {}}
    text = (namespace["metadata"].get("annotations") or {}).get(key)
    if not text:
        return None if text is None else []
    try:
        listed = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise request.forbidden(f"annotation {key} of the namespace is no JSON: {error}") from None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise request.forbidden(f"annotation {key} of the namespace is no list of tolerations")
    return listed


def merged(tolerations: Sequence[Doc]) -> list[Doc]:
    """Those that no other one covers."""
    kept: list[Doc] = []
    for index, one in enumerate(tolerations):
        later = tolerations[index + 1 :]
        if not any(covers(other, one) for other in kept) and not any(
            other != one and covers(other, one) for other in later
        ):
            kept.append(one)
    return kept


def covers(wide: Doc, narrow: Doc) -> bool:
    """Whether whoever bears the wide toleration bears all that the narrow one does."""
    if wide == narrow:
        return True
    operator = wide.get("operator") or "Equal"
    if narrow.get("key") != wide.get("key") and (wide.get("key") or operator != "Exists"):
        return False
    if wide.get("effect") and narrow.get("effect") != wide["effect"]:
        return False
    limit = wide.get("tolerationSeconds") if wide.get("effect") == "NoExecute" else None
    if limit is not None and narrow.get("tolerationSeconds", limit + 1) > limit:
        return False
    if operator == "Exists":
        return True
    return narrow.get("operator") == "Equal" and narrow.get("value") == wide.get("value")


def hooks(around: Surroundings) -> Hooks:
    verbs = ("create", "update")
    return Hooks(
        changes=(Hook(partial(_merge, around), (kinds.POD,), verbs, looks_up=(kinds.NAMESPACE,)),),
        checks=(Hook(partial(_allowed, around), (kinds.POD,), verbs, looks_up=(kinds.NAMESPACE,)),),
    )
