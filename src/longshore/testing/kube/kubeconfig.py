"""The kubeconfig of a test's cluster, and that clients find it and no other one."""

from __future__ import annotations

import base64
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from longshore.core.objects.kinds import Doc

_NAME = "kube"
# Official clients that read the variable once, when they are imported.
_READ_ONCE = (
    "kubernetes.config.kube_config", "kubernetes.aio.config.kube_config",
    "kubernetes_asyncio.config.kube_config",
)  # fmt: skip
_DEFAULT = "KUBE_CONFIG_DEFAULT_LOCATION"


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
    before = os.environ.get("KUBECONFIG")
    os.environ["KUBECONFIG"] = str(path)
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
        for module in _imported(_READ_ONCE, _DEFAULT):
            # Imported meanwhile: it would take this cluster for everybody's.
            if getattr(module, _DEFAULT) == str(path):
                setattr(module, _DEFAULT, before or "~/.kube/config")
        if before is None:
            os.environ.pop("KUBECONFIG", None)
        else:
            os.environ["KUBECONFIG"] = before


def _forget_kept_clients() -> None:
    """kr8s keeps its clients by their arguments, and has none for which file they were made."""
    for api in _imported(("kr8s._api",), "Api"):
        instances = getattr(api.Api, "_instances", None)  # type: ignore[attr-defined]
        if instances is not None:
            instances.clear()


def _imported(names: tuple[str, ...], attribute: str) -> list[object]:
    modules = [sys.modules[name] for name in names if name in sys.modules]
    return [module for module in modules if hasattr(module, attribute)]
