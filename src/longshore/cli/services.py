"""`longshore install-service` and `longshore uninstall`: a server or an agent that systemd keeps."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from longshore.cli.options import echo_json, json_option

_PASSED = {"ignore_unknown_options": True, "help_option_names": []}
_STATE = Path("/var/lib/longshore")

prefix_option = click.option(
    "--prefix", default=Path("/"), type=click.Path(path_type=Path, file_okay=False),
    help="Write below this directory instead, and start nothing.",
)  # fmt: skip


def _writing(command: Callable[..., Any]) -> Callable[..., Any]:
    dry = click.option(
        "--dry-run", is_flag=True, help="Print what would be written; write nothing."
    )
    words = click.argument("words", nargs=-1, type=click.UNPROCESSED)
    return words(prefix_option(dry(json_option(command))))


@click.group("install-service")
def install_service() -> None:
    """Have systemd keep a server or an agent on this machine: prints the units that it writes. The options
    are those of longshore server and longshore agent."""


@install_service.command("server", context_settings=_PASSED)
@_writing
def install_server(words: tuple[str, ...], prefix: Path, dry_run: bool, as_json: bool) -> None:
    """A server; WORDS are options of longshore server."""
    from longshore.cluster.services.installing import plan_server

    given = _checked("server", words)
    planned = plan_server(words, _program(), given["root"] or _STATE)
    _carry_out(planned, prefix, dry_run, as_json)


@install_service.command("agent", context_settings=_PASSED)
@_writing
def install_agent(words: tuple[str, ...], prefix: Path, dry_run: bool, as_json: bool) -> None:
    """An agent; WORDS are options of longshore agent. The file that --join names is copied."""
    from longshore.cluster.services.installing import AgentWords, plan_agent

    given = _checked("agent", words)
    told = AgentWords(
        _without(words, "--join"), given["invitation"], given["directory"], given["grace_s"]
    )
    _carry_out(plan_agent(told, _program()), prefix, dry_run, as_json)


def _checked(name: str, words: tuple[str, ...]) -> dict[str, Any]:
    """What the words mean to that command of ours; whoever starts the unit is in no directory of yours. Raises what the command
    itself would, and ClusterError for a path that is not absolute."""
    from longshore.cluster.config import ClusterError

    root = click.get_current_context().find_root()
    assert isinstance(root.command, click.Group)
    given = root.command.commands[name].make_context(name, list(words), parent=root).params
    for parameter, value in given.items():
        if isinstance(value, Path) and parameter != "invitation" and not value.is_absolute():
            raise ClusterError(f"{value}: a unit needs the whole path")
    return given


def _without(words: tuple[str, ...], option: str) -> tuple[str, ...]:
    kept, skipping = [], False
    for word in words:
        if skipping or word == option:
            skipping = not skipping
        elif not word.startswith(f"{option}="):
            kept.append(word)
    return tuple(kept)


def _program() -> Path:
    return Path(sys.executable).with_name("longshore")


def _carry_out(planned: Any, prefix: Path, dry_run: bool, as_json: bool) -> None:
    from longshore.cluster.services.installing import install

    done = [] if dry_run else install(planned, prefix)
    if as_json:
        echo_json({**planned.as_dict(), "done": done})
        return
    for path, text in planned.as_dict()["units"].items():
        click.echo(f"# {path}\n{text}")
    for path in planned.as_dict()["files"]:
        click.echo(f"# {path}, readable by root alone")
    for line in done:
        click.echo(line)


@click.command()
@click.option(
    "--list", "only_list", is_flag=True, help="Say what would be removed; remove nothing."
)
@prefix_option
@json_option
def uninstall(only_list: bool, prefix: Path, as_json: bool) -> None:
    """Stop the services of longshore install-service and remove exactly what it wrote. What they keep stays:
    longshore leave and longshore down remove that."""
    from longshore.cluster.services import installing

    lines = installing.installed(prefix) if only_list else installing.uninstall(prefix)
    if as_json:
        echo_json({"files": lines})
        return
    for line in lines or ["nothing is installed"]:
        click.echo(line)
