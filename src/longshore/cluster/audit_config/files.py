"""Controls about files (1.1, 4.1): their modes and owners."""

from __future__ import annotations

from fnmatch import fnmatchcase

from longshore.cluster.audit_config.evidence import Evidence, File
from longshore.cluster.audit_config.verdicts import (
    Check,
    Control,
    Verdict,
    always,
    failed,
    not_applicable,
    unless,
)

_STATE = ("state",)
_ADMIN = ("kubeconfig", "super-admin.kubeconfig", "pki/admin.key", "pki/super-admin.key")
_AGENTS = ("pki/node-*-client.*",)
_SETTINGS = ("cluster.json", "*.yaml")


def no_more_than(mode: int, *patterns: str) -> Check:
    """Nobody may do more with the files than the mode says; some are there."""

    def check(evidence: Evidence) -> Verdict:
        files = _matching(evidence, patterns)
        loose = [f"{file.path} ({file.mode:o})" for file in files if file.mode & ~mode]
        good = f"{_shown(files)}: no more than mode {mode:o}"
        return unless(loose, good, f"more than mode {mode:o}: {{}}") if files else _none(patterns)

    return check


def owned(*patterns: str) -> Check:
    """The files belong to whom the cluster belongs; some are there."""

    def check(evidence: Evidence) -> Verdict:
        files = _matching(evidence, patterns)
        foreign = [f"{file.path} ({file.owner})" for file in files if file.owner != evidence.owner]
        good = f"{_shown(files)}: owned by user {evidence.owner}, who runs the cluster"
        return unless(foreign, good, "owned by another user: {}") if files else _none(patterns)

    return check


def of_nodes(check: Check) -> Check:
    """What concerns real nodes alone."""

    def checked(evidence: Evidence) -> Verdict:
        return _HOLLOW if evidence.hollow else check(evidence)

    return checked


_HOLLOW = not_applicable("the nodes are hollow: they run nothing and have no agent")


def _none(patterns: tuple[str, ...]) -> Verdict:
    return failed(f"missing in the cluster's directory: {', '.join(patterns)}")


def _matching(evidence: Evidence, patterns: tuple[str, ...]) -> list[File]:
    return [one for one in evidence.files if any(fnmatchcase(one.path, p) for p in patterns)]


def _shown(files: list[File]) -> str:
    return files[0].path if len(files) == 1 else f"{len(files)} files"


_NO_MANIFEST = always(
    not_applicable("the control plane is one process that no pod manifest describes")
)
_NO_CNI = always(not_applicable("nodes set up their network themselves; no CNI file is read"))
_INSIDE = always(not_applicable("it is a loop inside the server and has no credential of its own"))
_FORKED = always(not_applicable("`longshore up` starts the agents itself, by no service file"))
_OWN_PROXY = always(not_applicable("the agent is its node's proxy too, with the same credential"))

CONTROL_PLANE_FILES = (
    Control("1.1.1", "API server manifest: mode", _NO_MANIFEST),
    Control("1.1.2", "API server manifest: owner", _NO_MANIFEST),
    Control("1.1.3", "controller manager manifest: mode", _NO_MANIFEST),
    Control("1.1.4", "controller manager manifest: owner", _NO_MANIFEST),
    Control("1.1.5", "scheduler manifest: mode", _NO_MANIFEST),
    Control("1.1.6", "scheduler manifest: owner", _NO_MANIFEST),
    Control("1.1.7", "etcd manifest: mode", _NO_MANIFEST),
    Control("1.1.8", "etcd manifest: owner", _NO_MANIFEST),
    Control("1.1.9", "CNI files: mode", _NO_CNI),
    Control("1.1.10", "CNI files: owner", _NO_CNI),
    Control("1.1.11", "directory of the store: mode", no_more_than(0o700, *_STATE)),
    Control("1.1.12", "directory of the store: owner", owned(*_STATE)),
    Control("1.1.13", "administrator's credential: mode", no_more_than(0o600, *_ADMIN)),
    Control("1.1.14", "administrator's credential: owner", owned(*_ADMIN)),
    Control("1.1.15", "scheduler's credential: mode", _INSIDE),
    Control("1.1.16", "scheduler's credential: owner", _INSIDE),
    Control("1.1.17", "controller manager's credential: mode", _INSIDE),
    Control("1.1.18", "controller manager's credential: owner", _INSIDE),
    Control("1.1.19", "certificates and keys: owner", owned("pki", "pki/*")),
    Control("1.1.20", "certificates: mode", no_more_than(0o644, "pki/*.crt")),
    Control("1.1.21", "keys: mode", no_more_than(0o600, "pki/*.key")),
)

NODE_FILES = (
    Control("4.1.1", "agent's service file: mode", _FORKED),
    Control("4.1.2", "agent's service file: owner", _FORKED),
    Control("4.1.3", "proxy's credential: mode", _OWN_PROXY),
    Control("4.1.4", "proxy's credential: owner", _OWN_PROXY),
    Control("4.1.5", "agents' credentials: mode", of_nodes(no_more_than(0o600, *_AGENTS))),
    Control("4.1.6", "agents' credentials: owner", of_nodes(owned(*_AGENTS))),
    Control(
        "4.1.7", "authority that clients are judged by: mode", no_more_than(0o644, "pki/ca.crt")
    ),
    Control("4.1.8", "authority that clients are judged by: owner", owned("pki/ca.crt")),
    Control("4.1.9", "configuration: mode", no_more_than(0o600, *_SETTINGS)),
    Control("4.1.10", "configuration: owner", owned(*_SETTINGS)),
)
