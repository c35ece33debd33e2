"""An operator written with kopf (https://kopf.readthedocs.io), run beside a test."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from longshore.testing.kube.backend import Backend
from longshore.testing.kube.running import Running


def kopf_operator(
    files: Sequence[Path], options: Mapping[str, Any], backend: Backend, *, cluster_wide: bool
) -> Running:
    """The operator that files define, on a loop in a thread, with its handlers in a registry of
    their own. options are arguments of kopf.operator(); peers it has none unless they say so.
    Raises what the files raise when they are run."""
    kopf = import_module("kopf")
    stop, ready = threading.Event(), threading.Event()
    where = {"clusterwide": True} if cluster_wide else {"namespaces": [backend.namespace]}
    given = {"standalone": True, **where, **options}
    registry = _registry_of(kopf, files)

    def work() -> None:
        operator = kopf.operator(registry=registry, stop_flag=stop, ready_flag=ready, **given)
        asyncio.run(operator)

    return Running("kopf", work, stop.set, backend, ready)


def _registry_of(kopf: Any, files: Sequence[Path]) -> Any:
    """The handlers that files define. Each run of a file is a module of its own, as with `kopf run`."""
    before = kopf.get_default_registry()
    registry = type(before)()
    kopf.set_default_registry(registry)
    try:
        for file in files:
            _run(file)
    finally:
        kopf.set_default_registry(before)
    return registry


def _run(file: Path) -> None:
    """Raises FileNotFoundError, and what the file itself raises."""
    if not file.is_file():
        raise FileNotFoundError(f"there is no operator {file}")
    spec = importlib.util.spec_from_file_location(f"operator {file}", file)
    assert spec is not None and spec.loader is not None, file
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    beside = str(file.resolve().parent)
    if beside not in sys.path:
        sys.path.append(beside)
    spec.loader.exec_module(module)
