"""PodSecurity: pods are held to the level that their namespace's labels name; what workloads would make
of it is warned of (k8s.io/pod-security-admission/admission)."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects import kinds
from longshore.core.objects.errors import Cause, Invalid
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.podsecurity.policy import (
    LATEST,
    LEVELS,
    MODES,
    PREFIX,
    Policy,
    Standard,
    policy_of,
)
from longshore.core.objects.podsecurity.standards import findings, in_full, in_short
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks
from longshore.core.registry.admission.surroundings import PodSecurityConfig, Surroundings

_TEMPLATED = (
    kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.STATEFUL_SET, kinds.DAEMON_SET, kinds.JOB,
    kinds.CRON_JOB, kinds.REPLICATION_CONTROLLER, kinds.POD_TEMPLATE,
)  # fmt: skip
# The policy that a pod was held to, which the audit log is told of every one.
_ENFORCED, _FREE = f"{PREFIX}enforce-policy", str(Standard(LEVELS[0], LATEST))
# Of a namespace with more pods than this, the rest is not looked at when its level is raised.
PODS_MAX = 3000


class _Judge:
    """The plug-in with its configuration."""

    def __init__(self, config: PodSecurityConfig) -> None:
        self._config = config
        self._usual = Policy(*(_usual(config, mode) for mode in MODES))

    def pod(self, request: Attributes) -> None:
        policy, wrong = self._policy(request)
        if self._is_exempt(request):
            return
        if policy.is_free and not wrong:
            request.annotations[_ENFORCED] = _FREE
            return
        if request.old is not None and not _matters(request.doc["spec"], request.old["spec"]):
            return
        doc = request.doc
        if not self._is_exempt_runtime(request, doc["spec"]):
            self._judge(request, policy, wrong, doc["metadata"], doc["spec"], enforced=True)

    def template(self, request: Attributes) -> None:
        policy, wrong = self._policy(request)
        if policy.warn.is_free and policy.audit.is_free and not wrong:
            return
        if self._is_exempt(request):
            return
        template = _template(request.kind, request.doc)
        spec = template.get("spec")
        if spec and not self._is_exempt_runtime(request, spec):
            metadata = template.get("metadata") or {}
            self._judge(request, policy, wrong, metadata, spec, enforced=False)

    def _policy(self, request: Attributes) -> tuple[Policy, list[Cause]]:
        found = request.home or request.cache.get(kinds.NAMESPACE, "", request.namespace)
        return self._policy_of(found) if found is not None else (self._usual, [])

    def _policy_of(self, namespace: Doc) -> tuple[Policy, list[Cause]]:
        labels = namespace["metadata"].get("labels") or {}
        for label in labels:
            if label.startswith(PREFIX):
                return policy_of(labels, self._usual)
        return self._usual, []

    def _is_exempt(self, request: Attributes) -> bool:
        user = request.who.name if request.who is not None else ""
        if request.namespace in self._config.exempt_namespaces:
            request.annotations[f"{PREFIX}exempt"] = "namespace"
        elif user in self._config.exempt_users:
            request.annotations[f"{PREFIX}exempt"] = "user"
        return f"{PREFIX}exempt" in request.annotations

    def _is_exempt_runtime(self, request: Attributes, spec: Doc) -> bool:
        exempt = spec.get("runtimeClassName") in self._config.exempt_runtimes
        if exempt:
            request.annotations[f"{PREFIX}exempt"] = "runtimeClass"
        return exempt

    def _judge(
        self,
        request: Attributes,
        policy: Policy,
        wrong: list[Cause],
        metadata: Doc,
        spec: Doc,
        *,
        enforced: bool,
    ) -> None:
        notes = request.annotations
        if wrong:
            said = ", ".join(f"{one.field}: {one.message}" for one in wrong)
            notes[f"{PREFIX}error"] = f"Failed to parse policy: {said}"
        judged = {one: findings(one, metadata, spec) for one in set(policy)}
        if audited := judged[policy.audit]:
            violates = f'would violate PodSecurity "{policy.audit}": {in_full(audited)}'
            notes[f"{PREFIX}audit-violations"] = violates
        if enforced:
            notes[_ENFORCED] = str(policy.enforce)
            if refused := judged[policy.enforce]:
                why = f'violates PodSecurity "{policy.enforce}": {in_full(refused)}'
                raise request.forbidden(why)
        if warned := judged[policy.warn]:
            told = f'would violate PodSecurity "{policy.warn}": {in_full(warned)}'
            request.warnings.append(told)

    # --- namespaces ---

    def namespace(self, request: Attributes) -> None:
        """Labels have to be right; who raises the level hears of pods that are not up to it."""
        new, wrong = self._policy_of(request.doc)
        old, was_wrong = (self._usual, []) if request.old is None else self._policy_of(request.old)
        if wrong and (request.old is None or wrong != was_wrong):
            raise Invalid.of(kinds.NAMESPACE, request.name, wrong)
        if request.old is not None and not _is_raised(new.enforce, old.enforce):
            return
        if request.name in self._config.exempt_namespaces:
            self._warn_exempt(request, new)
        elif request.old is not None:
            request.warnings += self._violators(request, new.enforce)

    def _warn_exempt(self, request: Attributes, policy: Policy) -> None:
        labels = request.doc["metadata"].get("labels") or {}
        said = [
            f"{mode}={standard}"
            for mode, standard in policy._asdict().items()
            if not standard.is_free
            and (f"{PREFIX}{mode}" in labels or f"{PREFIX}{mode}-version" in labels)
        ]
        if said:
            request.warnings.append(
                f'namespace "{request.name}" is exempt from Pod Security, and the policy '
                f"({', '.join(said)}) will be ignored"
            )

    def _violators(self, request: Attributes, standard: Standard) -> list[str]:
        pods = self._prioritised(request.cache.indexed(kinds.POD, "namespace", request.name))
        warnings: list[str] = []
        if len(pods) > PODS_MAX:
            warnings.append(
                f"new PodSecurity enforce level only checked against the first {PODS_MAX} of "
                f"{len(pods)} existing pods"
            )
        found: dict[str, list[str]] = {}
        for pod in pods[:PODS_MAX]:
            if refused := findings(standard, pod["metadata"], pod["spec"]):
                found.setdefault(in_short(refused), []).append(pod["metadata"]["name"])
        if found:
            warnings.append(
                f'existing pods in namespace "{request.name}" violate the new PodSecurity enforce '
                f'level "{standard}"'
            )
        return warnings + sorted(_counted(names, why) for why, names in found.items())

    def _prioritised(self, pods: Iterable[Doc]) -> list[Doc]:
        """One pod of each owner first: its brothers are as it is."""
        first: dict[str, Doc] = {}
        others: list[Doc] = []
        for pod in pods:
            if pod["spec"].get("runtimeClassName") in self._config.exempt_runtimes:
                continue
            owners = pod["metadata"].get("ownerReferences") or ()
            uid = next((one["uid"] for one in owners if one.get("controller")), "")
            if first.setdefault(uid or pod["metadata"]["uid"], pod) is not pod:
                others.append(pod)
        return [*first.values(), *others]


def _usual(config: PodSecurityConfig, mode: str) -> Standard:
    level, version = config.levels.get(mode, LEVELS[0]), config.versions.get(mode, LATEST)
    return Standard(level, version)


def _is_raised(new: Standard, old: Standard) -> bool:
    """Whether pods that were allowed may not be any more."""
    if new == old or new.is_free:
        return False
    return new.version != old.version or LEVELS.index(new.level) > LEVELS.index(old.level)


def _counted(names: list[str], why: str) -> str:
    others = len(names) - 1
    more = f" (and {others} other {'pod' if others == 1 else 'pods'})" if others else ""
    return f"{min(names)}{more}: {why}"


def _template(kind: Kind, doc: Doc) -> Doc:
    if kind is kinds.POD_TEMPLATE:
        found: Doc | None = doc.get("template")
        return found or {}
    spec = doc.get("spec") or {}
    if kind is kinds.CRON_JOB:
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return spec.get("template") or {}


def _matters(new: Doc, old: Doc) -> bool:
    """Whether a pod's update can change how it is judged: other images, more containers."""
    for field in ("containers", "initContainers", "ephemeralContainers"):
        images = [
            [(c.get("name"), c.get("image")) for c in spec.get(field) or ()] for spec in (new, old)
        ]
        if images[0] != images[1]:
            return True
    return False


def hooks(around: Surroundings) -> Hooks:
    judge, both = _Judge(around.config.pod_security), ("create", "update")
    return Hooks(
        checks=(
            Hook(judge.pod, (kinds.POD,), both, looks_up=(kinds.NAMESPACE,)),
            Hook(judge.pod, (kinds.POD,), ("update",), "ephemeralcontainers"),
            Hook(judge.pod, (kinds.POD,), ("update",), "resize"),
            Hook(judge.template, _TEMPLATED, both),
            Hook(judge.namespace, (kinds.NAMESPACE,), both),
        )
    )
