"""Options that many commands have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click

name_option = click.option("--name", default="default", show_default=True, help="Which cluster.")
root_option = click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where clusters live. [default: /var/lib/longshore; without root ~/.local/share/longshore]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")


def chosen(name: str, root: Path | None) -> str:
    """The words by which another command finds the same cluster, as far as they are needed."""
    words = {"--name": name if name != "default" else None, "--root": root}
    return "".join(f" {option} {word}" for option, word in words.items() if word is not None)


_STORE = {
    "address": (
        "--store", "sqlite|etcd://HOST:PORT[,HOST:PORT...]",
        "The file of one server, or the members of an etcd that several may share. "
        "[default: as before, else sqlite]",
    ),
    "authority": ("--store-ca", "FILE", "The authority of etcd's certificates (PEM)."),
    "certificate": ("--store-cert", "FILE", "The certificate that is shown to etcd (PEM)."),
    "key": ("--store-key", "FILE", "The key of that certificate (PEM)."),
}  # fmt: skip


def store_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--store and the certificates that go with it, as one parameter, store: a StoreConfig that was
    checked, or None if nothing is said. Raises ClusterError."""

    @wraps(command)
    def with_store(**options: Any) -> Any:
        from longshore.cluster.config import StoreConfig
        from longshore.cluster.stores import checked

        said = {field: str(options.pop(f"store_{field}") or "") for field in _STORE}
        where = checked(StoreConfig(**said)) if any(said.values()) else None
        return command(store=where, **options)

    for field, (option, metavar, help_) in reversed(_STORE.items()):
        with_store = click.option(option, f"store_{field}", metavar=metavar, help=help_)(with_store)
    return with_store


def access_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--kubeconfig and --context, as one parameter, access: whom one asks, and as whom. Raises
    ClusterError."""

    @wraps(command)
    def with_access(kubeconfig: Path | None, context: str, **options: Any) -> Any:
        from longshore.cluster.client.access import read

        return command(access=read(kubeconfig, context), **options)

    chosen = click.option(
        "--context", default="", help="Which of its contexts. [default: the current one]"
    )
    file = click.option(
        "--kubeconfig", type=click.Path(path_type=Path, dir_okay=False),
        help="As whom to ask. [default: $KUBECONFIG, else ~/.kube/config]",
    )  # fmt: skip
    return file(chosen(with_access))


def profiles_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--scheduler-config as the parameter profiles: what gives them by schedulerName, given the access
    to a cluster, or None for upstream's. Both raise ClusterError."""

    @wraps(command)
    def with_profiles(scheduler_config: Path | None, **options: Any) -> Any:
        return command(profiles=partial(_profiles, scheduler_config), **options)

    return click.option(
        "--scheduler-config", type=click.Path(path_type=Path, dir_okay=False),
        help="Other profiles of the scheduler than the cluster's, or upstream's where there is none.",
    )(with_profiles)  # fmt: skip


def _profiles(file: Path | None, access: Any) -> Any:
    from longshore.cluster.client import configz
    from longshore.cluster.settings import scheduling
    from longshore.machinery.scheduler.profile import PROFILES

    if file is not None:
        return scheduling.read(file)
    profiles, note = (PROFILES, "") if access is None else configz.served(access)
    if note:
        click.echo(note, err=True)
    return profiles


def echo_json(content: Any) -> None:
    """Print one JSON document on a line, for machines."""
    import orjson

    click.echo(orjson.dumps(content).decode())


def names(given: Iterable[str]) -> tuple[str, ...]:
    """Plug-ins as the command line lists them: several times, and with commas between."""
    parts = (part.strip() for one in given for part in one.split(","))
    return tuple(dict.fromkeys(part for part in parts if part))
