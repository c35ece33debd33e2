"""A level-triggered loop as Go's controllers have it, with kr8s: every Deployment of two replicas
or more has a PodDisruptionBudget, and no other one has.

Events only say which Deployment to look at. What is to be done is decided on the state as it is
then, so that nothing depends on having seen every event, and doing it twice does no harm.
"""

import asyncio

import kr8s.asyncio
from kr8s.asyncio.objects import PodDisruptionBudget


async def run():
    api = await kr8s.asyncio.api()
    queue = asyncio.Queue()
    async with asyncio.TaskGroup() as crew:
        crew.create_task(listen(api, queue))
        while True:
            await reconcile_or_retry(api, queue, await queue.get())


async def listen(api, queue):
    while True:  # a watch ends now and then; the next one begins with all that is there
        async for _, deployment in api.watch("deployments", namespace=kr8s.ALL):
            queue.put_nowait((deployment.namespace, deployment.name))


async def reconcile_or_retry(api, queue, key):
    try:
        await reconcile(api, *key)
    except kr8s.ServerError:
        asyncio.get_running_loop().call_later(0.1, queue.put_nowait, key)


async def reconcile(api, namespace, name):
    wanted = await found(api, "deployments", namespace, name)
    budget = await found(api, "poddisruptionbudgets", namespace, name)
    if wanted and wanted.spec.replicas >= 2 and not budget:
        await (await PodDisruptionBudget(budget_of(wanted), api=api)).create()
    if budget and not (wanted and wanted.spec.replicas >= 2):
        await budget.delete()


async def found(api, kind, namespace, name):
    async for one in api.get(kind, name, namespace=namespace):
        return one
    return None


def budget_of(deployment):
    metadata = {"name": deployment.name, "namespace": deployment.namespace}
    spec = {"maxUnavailable": 1, "selector": dict(deployment.spec.selector)}
    return {"metadata": metadata, "spec": spec}
