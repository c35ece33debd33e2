import informer_operator

SEEN = "spec.template.metadata.annotations.config-seen"


def settings(value):
    metadata = {"name": "settings"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": value}}


def test_a_changed_setting_is_rolled_out(kube):
    kube.apply("web.yaml", settings("1"))
    kube.wait("deploy/web", "Available")
    kube.run(informer_operator.run)
    kube.wait("deploy/web", f"{SEEN}={informer_operator.digest({'key': '1'})}")
    kube.apply(settings("2"))
    kube.wait("deploy/web", f"{SEEN}={informer_operator.digest({'key': '2'})}")
    kube.wait("deploy/web", lambda web: web.status.updatedReplicas == web.status.replicas == 2)
    assert len(kube.list("replicasets")) >= 2


def test_a_lost_watch_is_begun_again(kube):
    kube.apply("web.yaml", settings("1"))
    kube.run(informer_operator.run)
    kube.wait("deploy/web", f"{SEEN}={informer_operator.digest({'key': '1'})}")
    kube.restore(kube.snapshot())  # whoever watches is told 410 Gone, and has to list again
    kube.apply(settings("2"))
    kube.wait("deploy/web", f"{SEEN}={informer_operator.digest({'key': '2'})}")
