import lightkube_operator
import pytest

TEAM = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "shop", "labels": {"team": "shop"}},
}


def pod(name):
    containers = [{"name": "web", "image": "nginx"}]
    metadata = {"name": name, "namespace": "shop"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": containers},
    }


def test_a_team_has_room_for_two_pods(kube):
    kube.run(lightkube_operator.run)
    kube.apply(TEAM)
    kube.wait("quota/team", "status.hard.pods=2", namespace="shop")
    kube.apply(pod("a"), pod("b"))
    with pytest.raises(kube.Refused, match="exceeded quota: team"):
        kube.apply(pod("c"))


def test_other_namespaces_have_no_quota(kube):
    kube.run(lightkube_operator.run)
    kube.apply(TEAM, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}})
    kube.wait("quota/team", namespace="shop")
    assert kube.list("resourcequotas", namespace="other") == []
