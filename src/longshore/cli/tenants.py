"""`longshore tenant`: a namespace for a team, with quota, limits, network policies and rights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from longshore.cli.options import echo_json, json_option, name_option, root_option

tenant_argument = click.argument("tenant_name", metavar="NAME")


@click.group()
def tenant() -> None:
    """Namespaces for teams, each closed to the others."""


@tenant.command("create")
@tenant_argument
@click.option(
    "--admin", "admins", multiple=True, metavar="USER|group:GROUP",
    help="Who administers it, besides the group tenant:NAME:admins. May be repeated.",
)  # fmt: skip
@click.option("--cpu", default="10", show_default=True, help="For all its containers together.")
@click.option("--memory", default="20Gi", show_default=True, help="The same.")
@click.option("--pods", default=50, show_default=True, type=click.IntRange(min=0), help="How many.")
@click.option(
    "--pod-security", "level", default="baseline", show_default=True,
    type=click.Choice(["privileged", "baseline", "restricted"]),
    help="The Pod Security Standard that is enforced.",
)  # fmt: skip
@click.option(
    "--template", type=click.Path(path_type=Path, dir_okay=False),
    help="What a tenant is made of, in YAML. [default: docs/tenants.md shows it]",
)  # fmt: skip
@click.option(
    "--update",
    is_flag=True,
    help="Apply it anew to a tenant that exists; what is not said again is not kept.",
)
@click.option(
    "--file", type=click.Path(path_type=Path, dir_okay=False),
    help="Write the objects there as YAML, and ask no cluster.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print the objects as YAML, and ask no cluster.")
@name_option
@root_option
@json_option
def tenant_create(
    tenant_name: str, template: Path | None, file: Path | None, as_json: bool, **options: Any
) -> None:
    """Make the tenant NAME."""
    from longshore.cluster.tenants.manage import create, planned
    from longshore.cluster.tenants.template import Request

    wanted = {word: options[word] for word in ("admins", "cpu", "memory", "pods", "level")}
    docs = planned(Request(tenant_name, **wanted), template)
    if file is not None or options["dry_run"]:
        _print_plan(docs, file, as_json)
        return
    cluster = options["name"], options["root"]
    applied = create(*cluster, docs, update=options["update"])
    _print_created(tenant_name, applied, as_json)


@tenant.command("list")
@name_option
@root_option
@json_option
def tenant_list(name: str, root: Path | None, as_json: bool) -> None:
    """The tenants of a cluster, and what they use."""
    from longshore.cli.report import table
    from longshore.cluster.tenants.manage import listed

    found = listed(name, root)
    if as_json:
        echo_json({"tenants": found})
        return
    rows = [("NAME", "STATE", "POD SECURITY", "PODS", "CPU", "MEMORY")]
    rows += [
        (one["name"], one["state"], one["podSecurity"], *map(_share, one["quota"].values()))
        for one in found
    ]
    click.echo(table(rows) if found else "no tenants; longshore tenant create makes one")


@tenant.command("show")
@tenant_argument
@name_option
@root_option
@json_option
def tenant_show(tenant_name: str, name: str, root: Path | None, as_json: bool) -> None:
    """What bounds the tenant NAME, and who may use it."""
    from longshore.cluster.tenants.manage import shown

    found = shown(name, root, tenant_name)
    if as_json:
        echo_json(found)
        return
    click.echo(f"{found['name']}: {found['state']}, pod security {found['podSecurity'] or 'unset'}")
    for what, amount in found["quota"].items():
        click.echo(f"  {what:<16} {_share(amount)}")
    click.echo(f"  limit ranges     {', '.join(found['limitRanges']) or 'none'}")
    click.echo(f"  network policies {', '.join(found['networkPolicies']) or 'none'}")
    for one in found["access"]:
        click.echo(f"  {one['role']:<16} {', '.join(one['subjects'])}")


@tenant.command("delete")
@tenant_argument
@name_option
@root_option
@json_option
def tenant_delete(tenant_name: str, name: str, root: Path | None, as_json: bool) -> None:
    """Delete the tenant NAME and everything in it."""
    from longshore.cluster.tenants.manage import delete

    delete(name, root, tenant_name)
    if as_json:
        echo_json({"deleted": tenant_name})
    else:
        click.echo(f"{tenant_name} and everything in it is being deleted")


def _print_plan(docs: list[dict[str, Any]], file: Path | None, as_json: bool) -> None:
    import yaml

    if as_json and file is None:
        echo_json({"objects": docs})
        return
    text = yaml.safe_dump_all(docs, sort_keys=False)
    if file is None:
        click.echo(text, nl=False)
        return
    _write(file, text)
    if as_json:
        echo_json({"file": str(file), "objects": docs})
    else:
        click.echo(f"{file} has {len(docs)} objects: kubectl apply --server-side -f {file}")


def _write(file: Path, text: str) -> None:
    from longshore.cluster.config import ClusterError

    try:
        file.write_text(text)
    except OSError as error:
        raise ClusterError(f"--file: {file}: {error.strerror}") from None


def _print_created(tenant_name: str, applied: list[str], as_json: bool) -> None:
    if as_json:
        echo_json({"tenant": tenant_name, "applied": applied})
        return
    for title in applied:
        click.echo(f"{title} applied")


def _share(amount: dict[str, str]) -> str:
    return f"{amount['used']}/{amount['hard']}" if amount["hard"] else "unbounded"
