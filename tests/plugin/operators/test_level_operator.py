import level_operator


async def test_budgets_come_and_go_with_replicas(kube):
    kube.run(level_operator.run)
    kube.apply("web.yaml")
    await kube.aio.wait("pdb/web", "spec.maxUnavailable=1")
    kube.patch("deploy/web", {"spec": {"replicas": 1}})
    assert await kube.aio.gone("pdb/web")
    kube.patch("deploy/web", {"spec": {"replicas": 2}})
    await kube.aio.wait("pdb/web")
    kube.delete("deploy/web")
    assert await kube.aio.gone("pdb/web")


def test_it_tries_again_after_a_failure(kube):
    kube.fail_next("create poddisruptionbudgets", 500, times=2)
    kube.run(level_operator.run)
    kube.apply("web.yaml")
    kube.wait("pdb/web")
    tried = [asked.status for asked in kube.requests if asked.verb == "create"]
    assert tried == [500, 500, 201]
