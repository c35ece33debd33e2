"""longshore backup and longshore restore."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from longshore.cli.options import (
    chosen,
    echo_json,
    json_option,
    name_option,
    root_option,
    store_options,
)

_FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
_TELL_AFTER_S = 1.0


@click.command()
@_FILE
@name_option
@click.option(
    "--with-keys", is_flag=True,
    help="Put the keys of what is encrypted at rest into the file too. Who has it can read everything.",
)  # fmt: skip
@root_option
@json_option
def backup(file: Path, name: str, with_keys: bool, root: Path | None, as_json: bool) -> None:
    """Write all that a cluster needs to come back into FILE, while it runs."""
    from longshore.cluster.backup.take import backup

    done = backup(file, name, root, with_keys=with_keys, told=_progress())
    if as_json:
        echo_json(done)
        return
    click.echo(f"{file}: {done['objects']} objects as of revision {done['revision']}")
    if not with_keys:
        click.echo(
            f"its Secrets are encrypted; keep a copy of {done['keys']} elsewhere, for nothing else reads them"
        )


@click.command()
@_FILE
@click.option("--name", help="The cluster to make or to take back. [default: the one backed up]")
@click.option(
    "--encryption-config", "keys", type=click.Path(path_type=Path, dir_okay=False),
    help="The encryption.yaml of the cluster that was backed up, if it is neither there nor in FILE.",
)  # fmt: skip
@click.option(
    "--dry-run", is_flag=True, help="Check FILE and say what would change; change nothing."
)
@click.option(
    "--replace", is_flag=True,
    help="Put it in the place of what that etcd has, of whichever cluster it is.",
)  # fmt: skip
@store_options
@root_option
@json_option
def restore(as_json: bool, **options: Any) -> None:
    """Make a cluster of a backup, or take a stopped one back to it. With --store, its objects go into
    that store, whichever they were in."""
    from longshore.cluster.backup.restore import RestoreRequest, restore

    done = restore(RestoreRequest(**options), _progress())
    if as_json:
        echo_json(done)
        return
    click.echo(_as_text(done))
    if not done["dryRun"]:
        click.echo(f"longshore start{chosen(done['cluster'], options['root'])} starts it")


def _as_text(done: dict[str, Any]) -> str:
    counts, would = done["compared"], "would be " if done["dryRun"] else ""
    unreadable = counts.get("unreadable")
    lines = [
        f"{done['cluster']}: {would}{'made' if done['new'] else 'taken back'}, to {done['made']}",
        f"  {counts['made']} objects {would}made, {counts['changed']} changed, "
        f"{counts['removed']} removed; {counts['same']} stay as they are",
        f"  revisions go on above {done['revision']}",
    ]
    if not done["new"] and not done["store"]:
        lines.append(f"  the store of now {would}kept in state.before-restore")
    if done["store"]:
        lines.append(f"  its objects {would}in {done['store']}")
    if unreadable:
        lines.append(f"  the store of now cannot be read: {unreadable}")
    return "\n".join(lines)


def _progress() -> Any:
    """Tells on a terminal how far it is, once it has taken a second and then each second."""
    from longshore.base.clock import SystemClock

    clock = SystemClock()
    next_s = clock.monotonic() + _TELL_AFTER_S

    def told(done: int, objects: int) -> None:
        nonlocal next_s
        now = clock.monotonic()
        if now >= next_s and sys.stderr.isatty():
            next_s = now + _TELL_AFTER_S
            click.echo(f"  … {done} of {objects} objects", err=True)

    return told
