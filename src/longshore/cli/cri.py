"""The options of a machine whose containers are run by a CRI runtime."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

_OPTIONS = (
    click.option(
        "--runtime-endpoint", "endpoint", default="unix:///run/containerd/containerd.sock",
        show_default=True, help="With --runtime cri: where the runtime listens.",
    ),
    click.option(
        "--cni-conf-dir", "configurations", default="/etc/cni/net.d", show_default=True,
        type=click.Path(path_type=Path, file_okay=False),
        help="With --runtime cri: where the runtime looks for CNI configurations.",
    ),
    click.option(
        "--cni-bin-dir", "programs", default="/opt/cni/bin", show_default=True,
        type=click.Path(path_type=Path, file_okay=False),
        help="With --runtime cri: where it looks for CNI plug-ins.",
    ),
)  # fmt: skip


def cri_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """All of them as one parameter, cri: a CriRequest."""

    @wraps(command)
    def with_cri(endpoint: str, configurations: Path, programs: Path, **options: Any) -> Any:
        from longshore.cluster.host.cri import CriRequest

        return command(cri=CriRequest(endpoint, configurations, programs), **options)

    decorated: Callable[..., Any] = with_cri
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
