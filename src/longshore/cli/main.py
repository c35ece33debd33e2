"""The `longshore` command. Each command imports what it needs when it runs, so that --help and
completion stay instant."""

from __future__ import annotations

import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from longshore import __version__
from longshore.cli.autoscaling import autoscale_options
from longshore.cli.backups import backup, restore
from longshore.cli.bench import bench
from longshore.cli.machines import agent, leave, machine_option, shutdown
from longshore.cli.nodes import node
from longshore.cli.options import (
    chosen,
    echo_json,
    json_option,
    name_option,
    names,
    root_option,
    store_options,
)
from longshore.cli.rebalance import rebalance
from longshore.cli.recommend import recommend
from longshore.cli.services import install_service, uninstall
from longshore.cli.simulate import simulate
from longshore.cli.tenants import tenant
from longshore.cli.usage import usage
from longshore.cli.why import why

# What a person can mend ends with this code and one sentence.
REFUSED = 2


class Refusing(click.Group):
    """Turns the errors that a person can mend into one sentence and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        from longshore.cluster.config import ClusterError

        try:
            return super().invoke(ctx)
        except (ClusterError, PermissionError) as error:
            click.echo(f"longshore: {error}", err=True)
            sys.exit(REFUSED)


@click.group(cls=Refusing, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """One container platform: real clusters of real containers, driven by kubectl."""


@main.command()
@name_option
@click.option("--nodes", default=1, show_default=True, help="How many nodes.")
@click.option(
    "--servers", default=1, show_default=True,
    help="How many API servers: 1, or 3 with three members of etcd, of which any may fail.",
)  # fmt: skip
@click.option(
    "--runtime", type=click.Choice(["oci", "cri", "hollow"]), default="oci", show_default=True,
    help="oci: conmon and runc; cri: a containerd of the cluster's own; hollow: pods run nothing.",
)  # fmt: skip
@click.option(
    "--hollow", is_flag=True, help="The same as --runtime hollow: no root, no Linux needed."
)
@click.option(
    "--uplink", type=click.Choice(["user", "none"]), default="user", show_default=True,
    help="user: pods reach the outside through pasta.",
)  # fmt: skip
@root_option
@click.option(
    "--node-grace", default=40.0, show_default=True,
    help="Seconds that a node may be silent before it counts as lost.",
)  # fmt: skip
@click.option(
    "--leader-elect-lease-duration", "lease_s", default=15, show_default=True,
    help="Seconds after which the loops of a server that is gone run in another one.",
)  # fmt: skip
@click.option(
    "--leader-elect-renew-deadline", "renew_deadline_s", default=10.0, show_default=True,
    help="Seconds that a leading server tries to renew its lease before it steps down.",
)  # fmt: skip
@click.option(
    "--leader-elect-retry-period", "retry_s", default=2.0, show_default=True,
    help="Seconds between two renewals of a lease.",
)  # fmt: skip
@click.option(
    "--authentication-config", type=click.Path(path_type=Path, dir_okay=False),
    help="Outside issuers of tokens (AuthenticationConfiguration of apiserver.config.k8s.io/v1).",
)  # fmt: skip
@click.option(
    "--authorization-config", type=click.Path(path_type=Path, dir_okay=False),
    help="Who is asked for permission (AuthorizationConfiguration of apiserver.config.k8s.io/v1).",
)  # fmt: skip
@click.option(
    "--encryption-config", type=click.Path(path_type=Path, dir_okay=False),
    help="What is encrypted at rest, and with which keys (EncryptionConfiguration of "
    "apiserver.config.k8s.io/v1). [default: Secrets, with a key of the cluster's own]",
)  # fmt: skip
@click.option(
    "--audit-policy", type=click.Path(path_type=Path, dir_okay=False),
    help="What the audit log tells (audit.k8s.io/v1 Policy). [default: changes, and looks at secrets]",
)  # fmt: skip
@click.option(
    "--enable-admission-plugins", "enable", multiple=True, metavar="NAMES",
    help="Admission plug-ins besides those that are on by default, with commas between.",
)  # fmt: skip
@click.option(
    "--disable-admission-plugins", "disable", multiple=True, metavar="NAMES",
    help="Admission plug-ins that are on by default and shall not be.",
)  # fmt: skip
@click.option(
    "--admission-control-config-file", "admission_config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What plug-ins are told (AdmissionConfiguration of apiserver.config.k8s.io/v1).",
)  # fmt: skip
@autoscale_options
@click.option("--no-merge", is_flag=True, help="Leave ~/.kube/config alone.")
@click.option("--wait", default=60.0, show_default=True, help="Seconds to wait for the nodes.")
@json_option
def up(
    hollow: bool,
    no_merge: bool,
    as_json: bool,
    enable: tuple[str, ...],
    disable: tuple[str, ...],
    **options: Any,
) -> None:
    """Start a cluster."""
    from longshore.cli.report import Report
    from longshore.cluster.local.request import UpRequest
    from longshore.cluster.local.up import up
    from longshore.machinery.election.plan import Rules

    if hollow:
        options["runtime"] = "hollow"
    options["wait_s"] = options.pop("wait")
    options["node_grace_s"] = options.pop("node_grace")
    rules = {one: options.pop(one) for one in ("lease_s", "renew_deadline_s", "retry_s")}
    options["election"] = Rules(**rules)
    options["enable_admission"], options["disable_admission"] = names(enable), names(disable)
    report = Report(quiet=as_json)
    request = UpRequest(merge=not no_merge, **options)
    report.done(up(request, report.phase, report.warn), as_json)


@main.command()
@name_option
@click.option("--all", "everything", is_flag=True, help="Every cluster.")
@click.option(
    "--list", "only_list", is_flag=True, help="Say what would be removed; remove nothing."
)
@root_option
def down(name: str, everything: bool, only_list: bool, root: Path | None) -> None:
    """Remove a cluster: every process, namespace, mount, cgroup and file of it."""
    from longshore.cluster.local import down as downs

    for one in downs.chosen(name, everything, root):
        if only_list:
            for line in downs.remains(one, root):
                click.echo(line)
        else:
            downs.down(one, root)
            click.echo(f"{one} is gone")


@main.command()
@name_option
@root_option
def stop(name: str, root: Path | None) -> None:
    """Stop everything of a cluster, and keep every object."""
    from longshore.cluster.local.down import stop

    stop(name, root)
    click.echo(f"{name} is stopped; longshore start{chosen(name, root)} brings it back")


@main.command()
@name_option
@click.option("--wait", default=60.0, show_default=True, help="Seconds to wait for the nodes.")
@root_option
@json_option
def start(name: str, wait: float, root: Path | None, as_json: bool) -> None:
    """Start a stopped cluster, or what is missing of one."""
    from longshore.cli.report import Report
    from longshore.cluster.local.up import start

    report = Report(quiet=as_json)
    report.done(start(name, root, wait, report.phase), as_json)


@main.command("list")
@root_option
@json_option
def list_clusters(root: Path | None, as_json: bool) -> None:
    """The clusters on this machine."""
    from longshore.cli.report import clusters_as_text
    from longshore.cluster.local.overview import overview

    found = overview(root)
    if as_json:
        echo_json({"clusters": found})
    else:
        click.echo(clusters_as_text(found))


@main.command()
@name_option
@root_option
def kubeconfig(name: str, root: Path | None) -> None:
    """Print the cluster's kubeconfig."""
    from longshore.cluster.config import ClusterPaths, default_root

    paths = ClusterPaths(root or default_root(), name)
    paths.load()
    click.echo(paths.kubeconfig.read_text(), nl=False)


@main.group()
def image() -> None:
    """The images on a cluster's nodes."""


@image.command("load")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@name_option
@root_option
@machine_option
def image_load(file: Path, name: str, root: Path | None, directory: Path | None) -> None:
    """Put the images of FILE (docker save, or an OCI layout as tar) on all nodes, once."""
    from longshore.cluster.host.images import load

    for line in load(file, name, root, directory):
        click.echo(line)


@image.command("list")
@name_option
@root_option
@machine_option
@json_option
def image_list(name: str, root: Path | None, directory: Path | None, as_json: bool) -> None:
    """The images that the nodes have."""
    from longshore.cluster.host.images import listed

    found = listed(name, root, directory)
    if as_json:
        echo_json({"images": found})
        return
    for one in found:
        click.echo(f"{one['name']:<50} {one['id'][:19]:<20} {one['size'] / 1e6:8.1f} MB")


@main.command("server")
@name_option
@click.option("--port", type=int, help="Where it listens. [default: as before, else 6443]")
@click.option(
    "--address", "addresses", multiple=True, metavar="IP",
    help="An address of this machine at which it listens, besides 127.0.0.1.",
)  # fmt: skip
@store_options
@click.option(
    "--server-name", default=socket.gethostname, show_default="the host's name",
    help="As whom it writes to etcd: every server of a cluster has a name of its own.",
)  # fmt: skip
@click.option(
    "--encryption-config", type=click.Path(path_type=Path, dir_okay=False),
    help="What is encrypted at rest, the same for all servers. [default: as before, else as with up]",
)  # fmt: skip
@click.option(
    "--scheduler-config", type=click.Path(path_type=Path, dir_okay=False),
    help="Profiles of the scheduler, the same for all servers: a KubeSchedulerConfiguration. "
    "[default: as before, else upstream's default profile]",
)  # fmt: skip
@root_option
def server_command(server_name: str, store: Any, **options: Any) -> None:
    """Be one server of a cluster, in the foreground, until interrupted. Nodes join it with
    longshore agent; several share an etcd, and one of them runs the controllers."""
    from longshore.cluster.server.standalone import ServerRequest, serve

    where = store and replace(store, writer=server_name)
    serve(ServerRequest(store=where, **options))


@main.group()
def token() -> None:
    """Tokens by which machines join a cluster."""


@token.command("create")
@click.option("--ttl", default="24h", show_default=True, help="How long it is good: 90m, 24h, 7d.")
@click.option("--description", default="", help="What it is for.")
@click.option(
    "--server", "servers", multiple=True, metavar="URL",
    help="A server that the machine finds there, first of all; again for each other one. "
    "[default: this one]",
)  # fmt: skip
@click.option(
    "--file", type=click.Path(path_type=Path, dir_okay=False),
    help="Write it there, readable by you alone. [default: print it]",
)  # fmt: skip
@name_option
@root_option
def token_create(
    ttl: str,
    description: str,
    servers: tuple[str, ...],
    file: Path | None,
    name: str,
    root: Path | None,
) -> None:
    """Make a token, as a bootstrap kubeconfig: servers, authority and token in one file."""
    from longshore.base.files import write_private
    from longshore.cluster.durations import seconds
    from longshore.cluster.joining.tokens import create
    from longshore.cluster.kubeconfig import render

    made = render(create(name, root, seconds(ttl, "--ttl"), description, servers))
    if file is None:
        click.echo(made, nl=False)
    else:
        write_private(file, made)
        click.echo(f"{file} lets a machine ask for a certificate of this cluster for {ttl}")


@token.command("list")
@name_option
@root_option
@json_option
def token_list(name: str, root: Path | None, as_json: bool) -> None:
    """The tokens that are good, without their secrets."""
    from longshore.cluster.joining.tokens import listed

    found = listed(name, root)
    if as_json:
        echo_json({"tokens": found})
        return
    for one in found:
        click.echo(
            f"{one['id']:<8} {one['expires'] or 'never ends':<22} {one['description']}".rstrip()
        )


@token.command("delete")
@click.argument("token_id", metavar="ID")
@name_option
@root_option
def token_delete(token_id: str, name: str, root: Path | None) -> None:
    """Withdraw a token by its ID."""
    from longshore.cluster.joining.tokens import delete

    delete(name, root, token_id)
    click.echo(f"{token_id.partition('.')[0]} is withdrawn")


main.add_command(agent)
main.add_command(leave)
main.add_command(shutdown)
main.add_command(install_service)
main.add_command(uninstall)
main.add_command(tenant)
main.add_command(backup)
main.add_command(restore)
main.add_command(bench)
main.add_command(node)
main.add_command(simulate)
main.add_command(why)
main.add_command(rebalance)
main.add_command(recommend)
main.add_command(usage)


@main.command()
@name_option
@root_option
@json_option
def certs(name: str, root: Path | None, as_json: bool) -> None:
    """When each certificate of a cluster ends, and who renews it."""
    from longshore.base.clock import SystemClock
    from longshore.cluster.certs import certificates

    found = certificates(name, root, SystemClock())
    if as_json:
        echo_json({"certificates": found})
        return
    for one in found:
        click.echo(
            f"{one['name']:<18} {one['subject']:<22} {one['days_left']:>5} days  {one['renews']}"
        )


@main.command("audit-config")
@name_option
@click.option(
    "--only", type=click.Choice(["pass", "fail", "manual", "n/a"]),
    help="Show controls of one verdict.",
)  # fmt: skip
@root_option
@json_option
def audit_config(name: str, only: str | None, root: Path | None, as_json: bool) -> None:
    """Judge a cluster by the CIS Kubernetes Benchmark and the Pod Security Standards. Ends with 1
    if a control fails."""
    from longshore.cluster.audit_config import report
    from longshore.cluster.audit_config.run import audited

    findings = audited(name, root, _progress)
    if as_json:
        echo_json(report.as_dict(name, findings, only))
    else:
        click.echo(report.as_text(name, findings, only))
    sys.exit(1 if report.fails(findings) else 0)


def _progress(what: str) -> None:
    """Say on a terminal what is being done; what is printed for others stays clean."""
    if sys.stderr.isatty():
        click.echo(f"  … {what}", err=True)


@main.command()
@click.option("--install", is_flag=True, help="Install what is missing (with apt, as root).")
@click.option("--store", is_flag=True, help="Check all of a stopped cluster's store instead.")
@name_option
@root_option
@json_option
def doctor(install: bool, store: bool, name: str, root: Path | None, as_json: bool) -> None:
    """What this machine lacks for real containers, and how to mend it."""
    from longshore.cluster.config import ClusterPaths, default_root
    from longshore.cluster.doctor import examine, install_missing

    if store:
        from longshore.cluster.store_doctor import examine_store

        findings = examine_store(ClusterPaths(root or default_root(), name))
    else:
        findings = install_missing(click.echo) if install else examine()
    if as_json:
        echo_json({"findings": [f.as_dict() for f in findings]})
    else:
        for finding in findings:
            click.echo(finding.line())
    sys.exit(0 if all(finding.ok or finding.optional for finding in findings) else 1)


@main.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def sim(words: tuple[str, ...]) -> None:
    """Simulate a whole cluster from a seed, faults and all (sim --help)."""
    import os

    # A process of its own: a seed is a cluster only where hashes are not random.
    command = [sys.executable, "-m", "longshore.testing.simulator", *words]
    os.execve(sys.executable, command, {**os.environ, "PYTHONHASHSEED": "0"})


@main.command()
@json_option
def version(as_json: bool) -> None:
    """The version."""
    from longshore.base.version import KUBERNETES_VERSION

    if as_json:
        click.echo(f'{{"longshore": "{__version__}", "kubernetes": "{KUBERNETES_VERSION}"}}')
    else:
        click.echo(f"longshore {__version__} (Kubernetes API {KUBERNETES_VERSION})")
