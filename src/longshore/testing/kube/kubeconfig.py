"""The kubeconfig of a test's cluster, and that clients find it and no other one."""

from __future__ import annotations

import base64
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from longshore.core.objects.kinds import Doc

_NAME = "kube"
# Official clients that read the variable once, when they are imported.
_READ_ONCE = (
    "kubernetes.config.kube_config", "kubernetes.aio.config.kube_config",
    "kubernetes_asyncio.config.kube_config",
)  # fmt: skip
_DEFAULT = "KUBE_CONFIG_DEFAULT_LOCATION"
_VARIABLE = "KUBECONFIG"
# What tells clients in a pod to use the pod's own cluster, be it that the tests run in one.
_IN_CLUSTER = ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")


def of_token(server: str, authority_pem: str, token: str) -> Doc:
    """A kubeconfig of a user with a bearer token."""
    authority = base64.b64encode(authority_pem.encode()).decode()
    return of_parts(
        {"server": server, "certificate-authority-data": authority}, {"token": token}, "default"
    )


def of_parts(cluster: Doc, user: Doc, namespace: str) -> Doc:
    context = {"cluster": _NAME, "user": _NAME, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _NAME, "cluster": cluster}],
        "users": [{"name": _NAME, "user": user}],
        "contexts": [{"name": _NAME, "context": context}],
        "current-context": _NAME,
    }


def write(content: Doc, directory: Path) -> Path:
    """A new file in a directory, of mode 0600. It is JSON, which is YAML."""
    descriptor, name = tempfile.mkstemp(".yaml", "kubeconfig-", directory)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps(content))
    return Path(name)


@contextmanager
def as_default(path: Path) -> Iterator[None]:
    """Within, this is the kubeconfig of whoever names none; afterwards it is as it was before."""
    before = {
        name: os.environ.pop(name) for name in (_VARIABLE, *_IN_CLUSTER) if name in os.environ
    }
    os.environ[_VARIABLE] = str(path)
    defaults = [(module, getattr(module, _DEFAULT)) for module in _imported(_READ_ONCE, _DEFAULT)]
    for module, _ in defaults:
        setattr(module, _DEFAULT, str(path))
    _forget_kept_clients()
    try:
        yield
    finally:
        _forget_kept_clients()
        for module, value in defaults:
            setattr(module, _DEFAULT, value)
        _correct_the_newly_imported(str(path), before.get(_VARIABLE, "~/.kube/config"))
        del os.environ[_VARIABLE]
        os.environ |= before


def _correct_the_newly_imported(ours: str, default: str) -> None:
    """Clients that were imported meanwhile would take a test's cluster for everybody's."""
    for module in _imported(_READ_ONCE, _DEFAULT):
        if getattr(module, _DEFAULT) == ours:
            setattr(module, _DEFAULT, default)


def _forget_kept_clients() -> None:
    """kr8s keeps its clients by their arguments, and has none for which file they were made."""
    for api in _imported(("kr8s._api",), "Api"):
        instances = getattr(api.Api, "_instances", None)
        if instances is not None:
            instances.clear()


def _imported(names: tuple[str, ...], attribute: str) -> list[Any]:
    modules = [sys.modules[name] for name in names if name in sys.modules]
    return [module for module in modules if hasattr(module, attribute)]
