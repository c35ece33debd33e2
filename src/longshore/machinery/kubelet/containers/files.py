"""The small files every container gets: /etc/hosts, /etc/hostname, /etc/resolv.conf. Pure.

Contents follow pkg/kubelet/kubelet_pods.go (managedHostsFileContent) and
pkg/kubelet/network/dns/dns.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from longshore.core.objects.kinds import Doc
from longshore.machinery.runtime.protocol import RuntimeFailure

# glibc reads no more (pkg/apis/core/validation: MaxDNSNameservers, MaxDNSSearchPaths).
NAMESERVERS_MAX = 3
SEARCHES_MAX = 32
HOSTNAME_MAX = 63
KERNEL_HOSTNAME_MAX = 64

_HOSTS = """\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
fe00::\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
_HOSTS_OF_NODE = "# Kubernetes-managed hosts file (host network).\n"


def hostname_of(pod: Doc, node_name: str) -> str:
    """The pod's host name: its own wish, else its name; the node's with hostNetwork."""
    spec = pod["spec"]
    if spec.get("hostNetwork"):
        return node_name
    name: str = spec.get("hostname") or pod["metadata"]["name"]
    return name[:HOSTNAME_MAX].rstrip("-.")


def full_hostname_of(pod: Doc, node_name: str, domain: str) -> str:
    """The same with the pod's domain, where it is to be the kernel's host name (setHostnameAsFQDN).
    Raises RuntimeFailure where that is longer than the kernel takes (pkg/kubelet/util
    GetNodenameForKernel)."""
    spec, name = pod["spec"], hostname_of(pod, node_name)
    if not (spec.get("setHostnameAsFQDN") and spec.get("subdomain")) or spec.get("hostNetwork"):
        return name
    full = _full(pod, name, domain)
    if len(full) > KERNEL_HOSTNAME_MAX:
        raise RuntimeFailure(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long "
            f"({KERNEL_HOSTNAME_MAX} characters is the max, {len(full)} characters requested)"
        )
    return full


def _full(pod: Doc, name: str, domain: str) -> str:
    return f"{name}.{pod['spec']['subdomain']}.{pod['metadata']['namespace']}.svc.{domain}"


def hosts_file(pod: Doc, ips: tuple[str, ...], node_name: str, domain: str, node_hosts: str) -> str:
    """/etc/hosts with the pod's own line, or the node's as it is with hostNetwork; and its hostAliases."""
    spec = pod["spec"]
    if spec.get("hostNetwork"):
        text = _HOSTS_OF_NODE + node_hosts
    else:
        name = hostname_of(pod, node_name)
        names = f"{_full(pod, name, domain)}\t{name}" if spec.get("subdomain") else name
        text = _HOSTS + "".join(f"{ip}\t{names}\n" for ip in ips)
    if aliases := spec.get("hostAliases"):
        text += "\n# Entries added by HostAliases.\n"
        text += "".join(f"{a['ip']}\t{chr(9).join(a.get('hostnames') or [])}\n" for a in aliases)
    return text


def resolv_conf(
    pod: Doc, cluster_dns: tuple[str, ...], domain: str, node_resolv_conf: str = ""
) -> str:
    """/etc/resolv.conf by dnsPolicy, with dnsConfig merged in."""
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    servers, searches, options = _base(spec, namespace, cluster_dns, domain, node_resolv_conf)
    extra = spec.get("dnsConfig") or {}
    servers += extra.get("nameservers") or []
    searches += extra.get("searches") or []
    options |= {o["name"]: o.get("value") for o in extra.get("options") or []}
    lines = []
    if searches:
        lines.append("search " + " ".join(_unique(searches)[:SEARCHES_MAX]))
    lines += [f"nameserver {server}" for server in _unique(servers)[:NAMESERVERS_MAX]]
    if options:
        lines.append("options " + " ".join(_option(n, v) for n, v in options.items()))
    return "\n".join(lines) + "\n"


def _base(
    spec: Doc, namespace: str, cluster_dns: tuple[str, ...], domain: str, node: str
) -> tuple[list[str], list[str], dict[str, str | None]]:
    policy = spec.get("dnsPolicy", "ClusterFirst")
    if policy == "None":
        return [], [], {}
    servers, searches, options = _parsed(node)
    in_cluster = policy == "ClusterFirstWithHostNet" or not spec.get("hostNetwork")
    if policy == "Default" or not in_cluster or not cluster_dns:
        return servers, searches, options
    own = [f"{namespace}.svc.{domain}", f"svc.{domain}", domain]
    return list(cluster_dns), own + searches, {"ndots": "5"}


def _parsed(text: str) -> tuple[list[str], list[str], dict[str, str | None]]:
    servers: list[str] = []
    searches: list[str] = []
    options: dict[str, str | None] = {}
    for line in text.splitlines():
        match line.split():
            case ["nameserver", server, *_]:
                servers.append(server)
            case ["search", *names]:
                searches = names
            case ["options", *words]:
                for word in words:
                    name, _, value = word.partition(":")
                    options[name] = value or None
    return servers, searches, options


def _unique(items: list[str]) -> list[str]:
    return list(dict.fromkeys(items))


def _option(name: str, value: str | None) -> str:
    return name if value is None else f"{name}:{value}"


def pod_files(
    pod: Doc,
    ips: tuple[str, ...],
    node_name: str,
    dns: tuple[tuple[str, ...], str, str],
    node_hosts: str = "",
) -> Mapping[str, str]:
    """Contents by target path; dns is (cluster DNS addresses, domain, the node's resolv.conf), node_hosts
    the node's /etc/hosts, for pods in its network."""
    servers, domain, node_resolv_conf = dns
    return {
        "/etc/hosts": hosts_file(pod, ips, node_name, domain, node_hosts),
        "/etc/hostname": full_hostname_of(pod, node_name, domain) + "\n",
        "/etc/resolv.conf": resolv_conf(pod, servers, domain, node_resolv_conf),
    }
