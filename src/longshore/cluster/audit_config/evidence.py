"""What is known of a cluster when its configuration is judged. Pure data: gather.py finds it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.podsecurity.policy import Policy
from longshore.doors.kubernetes.audit.policy import Policy as AuditPolicy

# What was tried at a door.
ANONYMOUS = "without credentials"
OPEN = "health without credentials"
MADE_UP_TOKEN = "a made-up token"
PASSWORD = "a name and a password"
FOREIGN = "a certificate of another authority"
ORDINARY = "the node's own certificate"
PROFILING = "profiling"

# What was asked about rights.
NOBODY_MAY = "somebody without any role lists secrets"
SELF_REVIEW = "somebody without any role asks what he may"
NODE_ITSELF = "a node reads itself"
NODE_FOREIGN_SECRET = "a node reads a secret that none of its pods needs"


class File(NamedTuple):
    """path is relative to the cluster's directory, "" that directory itself; mode has permission
    bits only; owner is a user id."""

    path: str
    mode: int
    owner: int


class Review(NamedTuple):
    """The status of a SubjectAccessReview."""

    allowed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Door:
    """What a server over TLS does. statuses are HTTP's, by what was tried; 0: no answer at all.
    verified: its certificate is the authority's. old_protocol and weak_cipher are what it agreed
    to ("" nothing, None: this machine cannot offer such a thing)."""

    verified: bool
    statuses: Mapping[str, int]
    old_protocol: str | None = ""
    weak_cipher: str | None = ""
    agreed: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A real node. door is None if it does not answer; read_only_port: whether one is open; filters:
    whether its kernel has rules for NetworkPolicies now."""

    name: str
    door: Door | None
    read_only_port: bool = False
    filters: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """What the cluster was told. plugins are the admission plug-ins that are on; usual is the Pod
    Security policy of a namespace without labels; issuers are URLs of outside ones; sealed_by is
    what Secrets in the store begin with, which names provider and key ("" if they are plain)."""

    plugins: frozenset[str]
    usual: Policy
    exempt_namespaces: frozenset[str]
    audit_policy: AuditPolicy
    issuers: Sequence[str]
    sealed_by: str


class Etcd(NamedTuple):
    """certified: whether certificates are shown to it, and wanted from it; options are what its
    members are told, none where they are not the cluster's own."""

    address: str
    certified: bool
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """hollow: the nodes run nothing. owner is the user id that the cluster's files should have.
    nodes is None when they cannot be reached from here. listeners are the addresses on which the
    server listens in the host's network, None where that cannot be seen. authority is its
    certificate (PEM); administrators are the groups of the kubeconfig's certificate. etcd is None
    where the store is a file."""

    hollow: bool
    files: Sequence[File]
    owner: int
    api: Door
    nodes: Sequence[Node] | None
    settings: Settings
    audit_log_grew: bool
    listeners: Sequence[str] | None
    reviews: Mapping[str, Review]
    authority: str
    administrators: Sequence[str]
    objects: Mapping[Kind, Sequence[Doc]] = field(default_factory=dict)
    etcd: Etcd | None = None

    def all(self, kind: Kind) -> Sequence[Doc]:
        return self.objects.get(kind, ())
