"""lightkube: a namespace with a label team=NAME gets a quota of pods."""

from lightkube import Client
from lightkube.models.core_v1 import ResourceQuotaSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace, ResourceQuota


def run():
    client = Client(field_manager="team-quotas")
    for happened, namespace in client.watch(Namespace, labels={"team": None}):
        if happened != "DELETED" and not namespace.metadata.deletionTimestamp:
            client.apply(quota_of(namespace))


def quota_of(namespace):
    metadata = ObjectMeta(name="team", namespace=namespace.metadata.name)
    return ResourceQuota(metadata=metadata, spec=ResourceQuotaSpec(hard={"pods": "2"}))
