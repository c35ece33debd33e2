"""What a tenant is made of: the template that is shipped, and refusals of others."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import yaml
from click.testing import CliRunner

from longshore.cli.main import main
from longshore.cluster.config import ClusterError
from longshore.cluster.tenants.manage import planned
from longshore.cluster.tenants.template import Request, rendered
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.namespaces import TENANT_LABEL

NAMESPACE = b"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${tenant}\n"


def titled(docs: list[Doc]) -> dict[str, Doc]:
    return {f"{doc['kind']}/{doc['metadata']['name']}": doc for doc in docs}


def test_the_template_bounds_a_team_before_it_lets_it_in() -> None:
    wanted = Request("blue", ("ann", "group:ops", "ann"), "4", "8Gi", 7, "restricted")
    docs = planned(wanted, None)
    assert [doc["kind"] for doc in docs] == [
        "Namespace", "ResourceQuota", "LimitRange", *3 * ["NetworkPolicy"], *3 * ["RoleBinding"],
    ]  # fmt: skip
    found = titled(docs)
    labels = found["Namespace/blue"]["metadata"]["labels"]
    assert labels[TENANT_LABEL] == "blue"
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    hard = found["ResourceQuota/tenant"]["spec"]["hard"]
    assert (hard["requests.cpu"], hard["limits.memory"], hard["pods"]) == ("4", "8Gi", "7")
    assert all(doc["metadata"]["namespace"] == "blue" for doc in docs[1:])
    admins = [(one["kind"], one["name"]) for one in found["RoleBinding/tenant-admins"]["subjects"]]
    assert admins == [("Group", "tenant:blue:admins"), ("User", "ann"), ("Group", "ops")]
    (viewers,) = found["RoleBinding/tenant-viewers"]["subjects"]
    assert viewers["name"] == "tenant:blue:viewers"


def test_by_default_nothing_passes_but_names_and_neighbours() -> None:
    found = titled(planned(Request("blue"), None))
    deny = found["NetworkPolicy/default-deny"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (dns,) = found["NetworkPolicy/allow-dns"]["spec"]["egress"]
    assert dns["to"] == [{"ipBlock": {"cidr": "10.96.0.10/32"}}]
    assert {(one["protocol"], one["port"]) for one in dns["ports"]} == {("UDP", 53), ("TCP", 53)}


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (Request("Blue"), 'NAME: Invalid value: "Blue": a lowercase RFC 1123 label'),
        (Request("default"), "the cluster itself uses this namespace"),
        (Request("kube-system"), "the cluster itself uses this namespace"),
        (Request("blue", cpu="lots"), '--cpu: Invalid value: "lots": quantities must match'),
        (Request("blue", memory="-1"), '--memory: Invalid value: "-1": must be greater than'),
        (Request("blue", ("group:",)), '--admin: Invalid value: "group:": it names nobody'),
        (Request("blue", ("",)), '--admin: Invalid value: "": it names nobody'),
        (Request("blue", ("group:system:authenticated",)), "it names everybody"),
        (Request("blue", ("system:anonymous",)), "it names everybody"),
    ],
)
def test_requests_that_cannot_be_meant(request_: Request, why: str) -> None:
    with pytest.raises(ClusterError) as refusal:
        planned(request_, None)
    assert why in str(refusal.value)


def test_a_template_of_ones_own() -> None:
    account = b"""---
# with a remark
apiVersion: v1
kind: ServiceAccount
metadata:
  name: robot-${tenant}
  annotations:
    price: $$5 of ${cpu}
    plain: $HOME
---
"""
    namespace, robot = rendered(Request("blue", cpu="3"), account + NAMESPACE)
    assert namespace["metadata"] == {"name": "blue", "labels": {TENANT_LABEL: "blue"}}
    assert robot["metadata"]["name"] == "robot-blue"
    assert robot["metadata"]["annotations"] == {"price": "$5 of 3", "plain": "$HOME"}


def test_a_value_cannot_change_the_shape_of_a_template() -> None:
    sly = "ann\n  - {kind: Group, name: system:authenticated}"
    found = titled(planned(Request("blue", (sly,)), None))
    assert [one["name"] for one in found["RoleBinding/tenant-admins"]["subjects"]][1:] == [sly]


def of(kind: str, version: str = "v1", metadata: str = "{name: x}") -> bytes:
    return f"\n---\napiVersion: {version}\nkind: {kind}\nmetadata: {metadata}\n".encode()


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (of("ClusterRole", "rbac.authorization.k8s.io/v1"), "ClusterRole has no place in a tenant"),
        (of("Pod"), "v1 Pod has no place in a tenant; there may be Namespace, ResourceQuota"),
        (of("Unicorn", "x/v1"), "x/v1 Unicorn has no place"),
        (b"\n---\na: b\n", "an object without kind has no place"),
        (b"\n---\n- a\n", "each document has to be one object"),
        (of("ConfigMap", metadata="{}"), "ConfigMap: metadata.name: Required value"),
        (of("ConfigMap", metadata="x"), "ConfigMap: metadata.name: Required value"),
        (of("ConfigMap", metadata="{name: x, namespace: kube-system}"), "a tenant has one namespace"),
        (of("ConfigMap") + of("ConfigMap"), 'ConfigMap "x" is there 2 times'),
        (of("Namespace"), "it has to have one Namespace"),
        (of("ConfigMap", metadata="{name: '${colour}'}"), "${colour} is unknown; there are admins"),
        (b"\n---\na: [\n", "the body is not valid YAML"),
        (b"\n---\na: &a {}\nb: *a\n", "YAML aliases are not served"),
    ],
)  # fmt: skip
def test_templates_that_are_refused(more: bytes, why: str) -> None:
    with pytest.raises(ClusterError) as refusal:
        rendered(Request("blue"), NAMESPACE + more)
    assert str(refusal.value).startswith("template: ") and why in str(refusal.value)


def test_a_template_without_a_namespace_or_with_odd_labels() -> None:
    with pytest.raises(ClusterError, match="one Namespace"):
        rendered(Request("blue"), of("ConfigMap"))
    with pytest.raises(ClusterError, match=r"metadata.labels: must be a map"):
        rendered(Request("blue"), of("Namespace", metadata="{name: blue, labels: x}"))


def test_a_template_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="No such file"):
        planned(Request("blue"), tmp_path / "none.yaml")


def test_the_command_prints_or_writes_what_it_would_apply(tmp_path: Path) -> None:
    """Without a cluster, and so that it reads back as what is planned."""
    wanted = planned(Request("blue", ("ann",), pods=3), None)
    words = ["tenant", "create", "blue", "--admin", "ann", "--pods", "3"]
    printed = CliRunner().invoke(main, [*words, "--dry-run"])
    assert printed.exit_code == 0 and list(yaml.safe_load_all(printed.output)) == wanted
    as_json = CliRunner().invoke(main, [*words, "--dry-run", "--json"])
    assert orjson.loads(as_json.output) == {"objects": wanted}
    file = tmp_path / "blue.yaml"
    written = CliRunner().invoke(main, [*words, "--file", str(file)])
    assert f"{file} has 9 objects" in written.output
    assert list(yaml.safe_load_all(file.read_text())) == wanted


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["create", "Blue", "--dry-run"], 'NAME: Invalid value: "Blue"'),
        (["create", "blue", "--file", "/none/such.yaml"], "--file: /none/such.yaml: No such file"),
        (["create", "blue", "--template", "/none", "--dry-run"], "--template: /none: No such file"),
        (["list", "--root", "/none"], "no cluster"),
    ],
)
def test_the_command_refuses_in_one_sentence(words: list[str], why: str) -> None:
    done = CliRunner().invoke(main, ["tenant", *words])
    assert done.exit_code == 2 and why in done.stderr and done.stderr.count("\n") == 1
