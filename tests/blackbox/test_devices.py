"""Claims of devices through kubectl, on hollow nodes: the example of kubernetes.io ("Allocate Devices to
Workloads with DRA"), what is shown, what is refused, and `longshore why`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .driver import Cluster, eventually, is_ready, longshore, within

pytestmark = pytest.mark.slow

CLASS = """
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata:
  name: example-device-class
spec:
  selectors:
  - cel:
      expression: |-
        device.driver == "driver.example.com"
"""
SLICE = """
apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata:
  name: cat-slice
spec:
  driver: driver.example.com
  pool: {name: pool-of-cats, generation: 1, resourceSliceCount: 1}
  allNodes: true
  devices:
  - name: large-black-cat
    attributes:
      color: {string: black}
      size: {string: large}
      cat: {bool: true}
  - name: small-white-cat
    attributes:
      color: {string: white}
      size: {string: small}
      cat: {bool: true}
"""
TEMPLATE = """
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata:
  name: example-resource-claim-template
spec:
  spec:
    devices:
      requests:
      - name: gpu-claim
        exactly:
          deviceClassName: example-device-class
          selectors:
          - cel:
              expression: |-
                device.attributes["driver.example.com"].color == "white" &&
                device.attributes["driver.example.com"].cat
"""
POD = """
apiVersion: v1
kind: Pod
metadata:
  name: {name}
spec:
  containers:
  - name: c
    image: i
    resources:
      claims: [{{name: separate-gpu-claim}}]
  resourceClaims:
  - name: separate-gpu-claim
    resourceClaimTemplateName: example-resource-claim-template
"""


@pytest.fixture
def cats(hollow: Cluster) -> Iterator[Cluster]:
    hollow.kubectl("apply", "-f", "-", stdin=f"{CLASS}---{SLICE}")
    with within(hollow, "cats") as cluster:
        cluster.kubectl("apply", "-f", "-", stdin=TEMPLATE)
        yield cluster
    hollow.kubectl("delete", "deviceclass/example-device-class", "resourceslice/cat-slice")


async def test_the_documented_example(cats: Cluster) -> None:
    names = {"pod1", "pod2"}
    for name in sorted(names):
        cats.kubectl("apply", "-f", "-", stdin=POD.format(name=name))

    def running() -> set[str]:
        return {pod["metadata"]["name"] for pod in cats.get("pods")["items"] if is_ready(pod)}

    [first] = await eventually(running, "one of the pods has the white cat")
    [waiting] = names - {first}
    shown = cats.kubectl("get", "resourceclaims", "--no-headers").splitlines()
    assert sorted(line.split()[1] for line in shown) == ["allocated,reserved", "pending"]
    [given] = [one for one in cats.get("resourceclaims")["items"] if one.get("status")]
    assert given["status"]["allocation"]["devices"]["results"][0]["device"] == "small-white-cat"
    assert "cannot allocate all claims" in cats.kubectl("describe", "pod", waiting)
    told = longshore("why", waiting, "-n", "cats", env={"KUBECONFIG": cats.kubeconfig})
    assert "DynamicResources: cannot allocate all claims" in told
    cats.kubectl("delete", "pod", first, "--now")
    await eventually(lambda: waiting in running(), "the other has it when the first is gone")


def test_a_wrong_expression_is_refused(cats: Cluster) -> None:
    wrong = TEMPLATE.replace(".color ==", ".color = =").replace("name: example", "name: wrong", 1)
    told = cats.kubectl("apply", "-f", "-", stdin=wrong, code=1)
    assert "compilation failed: ERROR: <input>:1:" in told


def test_kubectl_explains_and_describes(cats: Cluster) -> None:
    assert "reservedFor" in cats.kubectl("explain", "resourceclaim.status")
    assert "example-device-class" in cats.kubectl("describe", "resourceclaimtemplate")
    shown = cats.kubectl("get", "resourceslices", "--no-headers").split()
    assert shown[:4] == ["cat-slice", "<none>", "driver.example.com", "pool-of-cats"]
