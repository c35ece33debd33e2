def settings(value):
    metadata = {"name": "settings", "labels": {"copied": "yes"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": value}}


def test_a_copy_follows_its_original(kube):
    with kube.kopf("kopf_operator.py"):
        kube.apply(settings("1"))
        kube.wait("cm/settings-copy", "data.key=1")
        kube.apply(settings("2"))
        kube.wait("cm/settings-copy", "data.key=2")
    kube.delete("cm/settings")
    assert kube.gone("cm/settings-copy")  # the garbage collector is a real one


def test_a_refused_copy_is_tried_again(kube):
    kube.fail_next("create configmaps", 503)
    with kube.kopf("kopf_operator.py"):
        kube.apply(settings("1"))
        kube.wait("cm/settings-copy")
    tried = [
        asked.status
        for asked in kube.requests
        if asked.resource == "configmaps" and asked.verb == "create"
    ]
    assert tried == [503, 201]
