"""Where the pods of a namespace may run: PodNodeSelector and LimitPodHardAntiAffinityTopology
(plugin/pkg/admission/{podnodeselector,antiaffinity}), and OpenShift's OriginPodNodeEnvironment."""

from __future__ import annotations

from functools import partial

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks
from longshore.core.registry.admission.surroundings import Surroundings

_ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector"
_DEFAULT = "clusterDefaultNodeSelector"
_HOSTNAME = "kubernetes.io/hostname"
_PROJECT = "openshift.io/node-selector"
_PROJECT_CONFLICT = "pod node label selector conflicts with its project node label selector"
_CONFLICT = "pod node label selector conflicts with its namespace node label selector"
_OUTSIDE = "pod node label selector labels conflict with its namespace whitelist"


def _select(around: Surroundings, request: Attributes) -> None:
    """The namespace's node selector is part of each pod's; a pod may not contradict it."""
    configured = around.config.node_selectors
    annotations = _annotations(request)
    wanted = _labels(request, annotations.get(_ANNOTATION, configured.get(_DEFAULT, "")))
    spec = request.doc["spec"]
    given = spec.get("nodeSelector") or {}
    if any(given.get(key, value) != value for key, value in wanted.items()):
        raise request.forbidden(_CONFLICT)
    if wanted:
        spec["nodeSelector"] = given = {**wanted, **given}
    allowed = _labels(request, configured.get(request.namespace, ""))
    if allowed and not given.items() <= allowed.items():
        raise request.forbidden(_OUTSIDE)


def _select_by_project(request: Attributes) -> None:
    """A project's node selector is part of each pod's, unless the namespace has one of the other
    kind; a pod may not contradict it (openshift/origin: pkg/scheduler/admission/nodeenv)."""
    annotations = _annotations(request)
    text = annotations.get(_PROJECT)
    if not text or _ANNOTATION in annotations:
        return
    wanted, spec = _labels(request, text), request.doc["spec"]
    given = spec.get("nodeSelector") or {}
    if any(given.get(key, value) != value for key, value in wanted.items()):
        raise request.forbidden(_PROJECT_CONFLICT)
    spec["nodeSelector"] = {**wanted, **given}


def _annotations(request: Attributes) -> Doc:
    """Those of the namespace."""
    namespace = request.cache.get(kinds.NAMESPACE, "", request.namespace) or {"metadata": {}}
    found: Doc = namespace["metadata"].get("annotations") or {}
    return found


def _labels(request: Attributes, text: str) -> dict[str, str]:
    """key=value,... as labels.ConvertSelectorToLabelsMap reads it."""
    pairs = [one.partition("=") for one in text.split(",")] if text else []
    for key, equals, _ in pairs:
        if not equals:
            raise request.forbidden(f"invalid selector: [{key}]")
    return {key.strip(): value.strip() for key, _, value in pairs}


def _spread_over_hosts(request: Attributes) -> None:
    affinity = (request.doc["spec"].get("affinity") or {}).get("podAntiAffinity") or {}
    for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
        key = term.get("topologyKey", "")
        if key != _HOSTNAME:
            raise request.forbidden(
                f"affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey {key} but only "
                f"key {_HOSTNAME} is allowed"
            )


def node_selector(around: Surroundings) -> Hooks:
    return Hooks(
        changes=(Hook(partial(_select, around), (kinds.POD,), looks_up=(kinds.NAMESPACE,)),)
    )


PROJECT_SELECTOR = Hooks(
    changes=(Hook(_select_by_project, (kinds.POD,), looks_up=(kinds.NAMESPACE,)),)
)
ANTI_AFFINITY = Hooks(
    checks=(Hook(_spread_over_hosts, (kinds.POD,), ("create", "update"), looks_up=()),)
)
