"""What plug-ins stand on besides the request: the rights of callers, the clock, and what the operator
configured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from longshore.base.clock import Clock
from longshore.base.users import User
from longshore.core.objects.kinds import Doc
from longshore.core.registry.questions import Ask
from longshore.core.registry.wishes import Wish


@dataclass(frozen=True, slots=True)
class EventLimit:
    """type is Server, Namespace, User or SourceAndObject; qps and burst as of a token bucket;
    cache_size bounds how many of a type are told apart."""

    type: str
    qps: int
    burst: int
    cache_size: int = 4096


@dataclass(frozen=True, slots=True)
class PodSecurityConfig:
    """Levels and versions of namespaces without labels, by mode (enforce, audit, warn), and who and
    what is exempt (pod-security-admission/admission/api/types.go)."""

    levels: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    exempt_users: frozenset[str] = frozenset()
    exempt_namespaces: frozenset[str] = frozenset()
    exempt_runtimes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ImagePolicy:
    """Who judges images; how long an answer counts and how long is waited before a second try, in
    seconds; and whether pods are let in that nobody could judge."""

    ask: Ask
    allow_ttl_s: float = 300.0
    deny_ttl_s: float = 30.0
    backoff_s: float = 0.5
    default_allow: bool = False


@dataclass(frozen=True, slots=True)
class AdmissionConfig:
    """enable and disable are names of plug-ins, over what is on by default. node_selectors are
    PodNodeSelector's, by namespace, as "key=value,...", and clusterDefaultNodeSelector for all;
    default_tolerations and tolerations_allowed are PodTolerationRestriction's of the cluster;
    image_policy is there if ImagePolicyWebhook is on."""

    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    pod_security: PodSecurityConfig = field(default_factory=PodSecurityConfig)
    node_selectors: Mapping[str, str] = field(default_factory=dict)
    default_tolerations: tuple[Doc, ...] = ()
    tolerations_allowed: tuple[Doc, ...] = ()
    event_limits: tuple[EventLimit, ...] = ()
    image_policy: ImagePolicy | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """allowed says whether a user may do something, be it served here or not."""

    clock: Clock
    allowed: Callable[[User, Wish], bool]
    config: AdmissionConfig

    def may(self, who: User | None, wish: Wish) -> bool:
        """None is a writer inside the server, who may."""
        return who is None or self.allowed(who, wish)
