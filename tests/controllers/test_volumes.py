"""Claims get the volumes that suit them, keep them, and give them back."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.base.chance import Chance
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create, Operation

from .world import World, running

BOUND = {"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes"}


def volume(name: str, size: str = "1Gi", *, kept: str = "Retain", **more: Any) -> Doc:
    spec = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": kept, "hostPath": {"path": f"/data/{name}"}}  # fmt: skip
    return {"metadata": {"name": name}, "spec": {**spec, **more}}


def claim(name: str = "data", size: str = "1Gi", **more: Any) -> Doc:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return {"metadata": {"name": name}, "spec": {"storageClassName": "", **spec, **more}}


def storage_class(name: str, provisioner: str = "d.example", **more: Any) -> Doc:
    return {"metadata": {"name": name, **more.pop("metadata", {})}, "provisioner": provisioner,
            "volumeBindingMode": "Immediate", **more}  # fmt: skip


async def made(world: World, *docs: tuple[kinds.Kind, Doc]) -> None:
    for kind, doc in docs:
        await world.create(kind, doc)
    await world.quiet()


def phase(world: World, kind: kinds.Kind, name: str) -> str:
    return str(world.get(kind, name)["status"]["phase"])


def given(world: World, name: str = "data") -> str:
    return str(world.get(kinds.PVC, name)["spec"].get("volumeName", ""))


async def test_a_pair_is_tied_on_both_sides() -> None:
    async with running() as world:
        await made(world, (kinds.PV, volume("v")), (kinds.PVC, claim()))
        taken, had = world.get(kinds.PV, "v"), world.get(kinds.PVC, "data")
        assert had["spec"]["volumeName"] == "v" and had["metadata"]["annotations"] == BOUND
        assert had["status"] == {
            "phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"},
        }  # fmt: skip
        reference = taken["spec"]["claimRef"]
        assert (reference["kind"], reference["name"]) == ("PersistentVolumeClaim", "data")
        assert reference["uid"] == had["metadata"]["uid"]
        assert taken["status"]["phase"] == "Bound" and "lastPhaseTransitionTime" in taken["status"]


@pytest.mark.parametrize("claim_first", [True, False])
async def test_the_smallest_that_fits_is_taken(claim_first: bool) -> None:
    offered = [(kinds.PV, volume(f"v{size}", f"{size}Gi")) for size in (8, 2, 4)]
    wish = [(kinds.PVC, claim(size="3Gi"))]
    async with running() as world:
        await made(world, *(wish + offered if claim_first else offered + wish))
        assert given(world) == ("v8" if claim_first else "v4")
        assert phase(world, kinds.PV, "v2") == "Available"


async def test_everything_that_waits_and_can_be_served_is_served() -> None:
    """Claims that wait are woken one for each volume; who prefers another passes his on."""
    async with running() as world:
        wishes = [(kinds.PVC, claim(f"c{n}", f"{n}Gi")) for n in range(1, 9)]
        offers = [(kinds.PV, volume(f"v{n}", f"{n}Gi")) for n in range(8, 0, -1)]
        await made(world, *wishes, *offers)
        assert sum(phase(world, kinds.PV, f"v{n}") == "Bound" for n in range(1, 9)) >= 4
        free = [n for n in range(1, 9) if phase(world, kinds.PV, f"v{n}") == "Available"]
        waiting = [n for n in range(1, 9) if phase(world, kinds.PVC, f"c{n}") == "Pending"]
        assert not free or not waiting or max(free) < min(waiting)


@pytest.mark.parametrize(
    ("offer", "wish"),
    [
        (volume("v", "1Gi"), claim(size="2Gi")),
        (volume("v", storageClassName="fast"), claim()),
        (volume("v", volumeMode="Block"), claim()),
        (volume("v", accessModes=["ReadOnlyMany"]), claim()),
        (volume("v"), claim(selector={"matchLabels": {"disk": "ssd"}})),
        (volume("v", volumeAttributesClassName="gold"), claim()),
    ],
)
async def test_what_does_not_fit_is_not_given(offer: Doc, wish: Doc) -> None:
    async with running() as world:
        await made(world, (kinds.PV, offer), (kinds.PVC, wish))
        assert phase(world, kinds.PVC, "data") == "Pending"
        assert phase(world, kinds.PV, "v") == "Available"
        assert world.events("FailedBinding") == [
            "no persistent volumes available for this claim and no storage class is set"
        ]


async def test_a_selector_finds_its_volume() -> None:
    async with running() as world:
        marked = volume("ssd", "9Gi")
        marked["metadata"]["labels"] = {"disk": "ssd"}
        wish = claim(selector={"matchLabels": {"disk": "ssd"}})
        await made(world, (kinds.PV, volume("v")), (kinds.PV, marked), (kinds.PVC, wish))
        assert given(world) == "ssd"


async def test_a_volume_that_is_named_is_had_or_refused() -> None:
    async with running() as world:
        await made(world, (kinds.PVC, claim(volumeName="v")))
        assert phase(world, kinds.PVC, "data") == "Pending"
        await made(world, (kinds.PV, volume("v")))
        assert phase(world, kinds.PVC, "data") == "Bound"
        await made(world, (kinds.PVC, claim("late", volumeName="v")))
        assert world.events("FailedBinding") == ['volume "v" already bound to a different claim.']
        await made(world, (kinds.PV, volume("w")), (kinds.PVC, claim("big", "9Gi", volumeName="w")))
        assert world.events("VolumeMismatch") == [
            'Cannot bind to requested volume "w": requested PV is too small'
        ]


async def test_a_volume_set_aside_by_name_waits_for_its_claim() -> None:
    async with running() as world:
        kept = volume("v", claimRef={"namespace": "default", "name": "mine"})
        await made(world, (kinds.PV, kept), (kinds.PVC, claim("other")))
        assert phase(world, kinds.PV, "v") == "Available"
        assert phase(world, kinds.PVC, "other") == "Pending"
        await made(world, (kinds.PVC, claim("mine")))
        assert given(world, "mine") == "v"
        bound = world.get(kinds.PV, "v")
        assert "pv.kubernetes.io/bound-by-controller" not in bound["metadata"].get(
            "annotations", {}
        )


async def test_a_claim_without_its_volume_is_lost() -> None:
    async with running() as world:
        await made(world, (kinds.PV, volume("v")), (kinds.PVC, claim()))
        await world.patch(kinds.PV, "v", {"metadata": {"finalizers": []}})
        await world.delete(kinds.PV, "v")
        await world.quiet()
        assert phase(world, kinds.PVC, "data") == "Lost"
        assert world.events("ClaimLost") == [
            "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        ]


@pytest.mark.parametrize(
    ("offer", "then"),
    [(volume("v"), "Released"), (volume("v", kept="Delete"), "Failed"),
     (volume("v", kept="Recycle"), "Failed")],
)  # fmt: skip
async def test_a_volume_whose_claim_is_gone_is_kept(offer: Doc, then: str) -> None:
    async with running() as world:
        await made(world, (kinds.PV, offer), (kinds.PVC, claim()))
        await world.delete(kinds.PVC, "data")
        await world.quiet()
        assert phase(world, kinds.PV, "v") == then
        said = world.cache.all(kinds.EVENT, "default")
        assert ("VolumeFailedDelete" in {one["reason"] for one in said}) == (
            offer["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
        )
        # A claim of the same name is another claim.
        await made(world, (kinds.PVC, claim()))
        assert phase(world, kinds.PVC, "data") == "Pending"
        assert phase(world, kinds.PV, "v") == then


async def test_what_somebody_else_made_somebody_else_deletes() -> None:
    async with running() as world:
        offer = volume("v", kept="Delete")
        offer["metadata"]["annotations"] = {"pv.kubernetes.io/provisioned-by": "d.example"}
        await made(world, (kinds.PV, offer), (kinds.PVC, claim()))
        await world.delete(kinds.PVC, "data")
        await world.quiet()
        assert phase(world, kinds.PV, "v") == "Released"


async def test_a_provisioner_outside_is_asked() -> None:
    async with running() as world:
        await made(world, (kinds.STORAGE_CLASS, storage_class("fast")),
                   (kinds.PVC, claim(storageClassName="fast")))  # fmt: skip
        asked = world.get(kinds.PVC, "data")["metadata"]["annotations"]
        assert asked == {
            "volume.kubernetes.io/storage-provisioner": "d.example",
            "volume.beta.kubernetes.io/storage-provisioner": "d.example",
        }
        assert "external provisioner 'd.example'" in world.events("ExternalProvisioning")[0]
        uid = world.get(kinds.PVC, "data")["metadata"]["uid"]
        reference = {"namespace": "default", "name": "data", "uid": uid}
        answer = volume("pvc-1", storageClassName="fast", claimRef=reference)
        await made(world, (kinds.PV, answer))
        assert given(world) == "pvc-1" and phase(world, kinds.PV, "pvc-1") == "Bound"


async def test_classes_that_are_not_there_and_those_of_old() -> None:
    async with running() as world:
        await made(world, (kinds.PVC, claim(storageClassName="fast")))
        assert world.events("ProvisioningFailed") == [
            'storageclass.storage.k8s.io "fast" not found'
        ]
        old = storage_class("fast", "kubernetes.io/aws-ebs")
        await made(world, (kinds.STORAGE_CLASS, old))
        assert "no volume plugin matched name: kubernetes.io/aws-ebs" in world.events(
            "ProvisioningFailed"
        )


async def test_a_claim_of_a_class_that_waits_is_left_to_the_scheduler() -> None:
    async with running() as world:
        lazy = storage_class("lazy", volumeBindingMode="WaitForFirstConsumer")
        await made(world, (kinds.STORAGE_CLASS, lazy), (kinds.PV, volume("v", storageClassName="lazy")),
                   (kinds.PVC, claim(storageClassName="lazy")))  # fmt: skip
        assert phase(world, kinds.PVC, "data") == "Pending"
        assert world.events("WaitForFirstConsumer") == [
            "waiting for first consumer to be created before binding"
        ]


async def test_a_claim_without_a_class_gets_the_default_that_comes_later() -> None:
    async with running() as world:
        plain = claim()
        del plain["spec"]["storageClassName"]
        await made(world, (kinds.PVC, plain))
        default = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
        await made(world, (kinds.STORAGE_CLASS, storage_class("std", metadata=default)))
        assert world.get(kinds.PVC, "data")["spec"]["storageClassName"] == "std"
        assert world.events("ExternalProvisioning")


def pod_with_scratch(**metadata: Any) -> Doc:
    template = {"metadata": {"labels": {"of": "pod"}}, "spec": claim()["spec"]}
    volumes = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}]
    body = {"containers": [{"name": "c", "image": "i"}], "volumes": volumes, "nodeName": "n0"}
    return {"metadata": {"name": "p", **metadata}, "spec": body}


async def test_an_ephemeral_volume_has_a_claim_that_goes_with_its_pod() -> None:
    async with running() as world:
        await made(world, (kinds.PV, volume("v")), (kinds.POD, pod_with_scratch()))
        had = world.get(kinds.PVC, "p-scratch")
        assert had["metadata"]["labels"] == {"of": "pod"} and given(world, "p-scratch") == "v"
        assert had["metadata"]["ownerReferences"][0]["kind"] == "Pod"
        await world.delete(kinds.POD, "p", grace_s=0)
        await world.quiet()
        assert world.missing(kinds.PVC, "p-scratch")
        assert phase(world, kinds.PV, "v") == "Released"


async def test_a_claim_of_somebody_else_is_not_taken_for_an_ephemeral_volume() -> None:
    async with running() as world:
        await made(world, (kinds.PVC, claim("p-scratch")), (kinds.POD, pod_with_scratch()))
        assert (
            "ephemeral volume scratch: PVC default/p-scratch was not created for pod default/p "
            "(pod is not owner)" in world.events("FailedBinding")
        )


# ---- with the scheduler: volumes are bound where the pod goes


def lazy(provisioner: str = "kubernetes.io/no-provisioner") -> tuple[kinds.Kind, Doc]:
    return kinds.STORAGE_CLASS, storage_class(
        "lazy", provisioner, volumeBindingMode="WaitForFirstConsumer"
    )


MAKER = "d.example"


def at(node: str) -> Doc:
    expression = {"key": "metadata.name", "operator": "In", "values": [node]}
    return {"required": {"nodeSelectorTerms": [{"matchFields": [expression]}]}}


def local(name: str, node: str, size: str = "1Gi") -> tuple[kinds.Kind, Doc]:
    return kinds.PV, volume(name, size, storageClassName="lazy", nodeAffinity=at(node))


def user(name: str, *claims: str, **spec: Any) -> tuple[kinds.Kind, Doc]:
    volumes = [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims]
    body = {"containers": [{"name": "c", "image": "i"}], "volumes": volumes, **spec}
    return kinds.POD, {"metadata": {"name": name}, "spec": body}


def node_of(world: World, name: str) -> str:
    return str(world.get(kinds.POD, name)["spec"].get("nodeName", ""))


async def test_a_claim_that_waits_is_bound_where_its_pod_goes() -> None:
    async with running() as world:
        await made(world, lazy(), local("v", "n1"), (kinds.PVC, claim(storageClassName="lazy")))
        assert phase(world, kinds.PVC, "data") == "Pending"
        await made(world, user("p", "data"))
        assert node_of(world, "p") == "n1"
        assert given(world) == "v" and phase(world, kinds.PV, "v") == "Bound"
        assert phase(world, kinds.PVC, "data") == "Bound"


async def test_no_volume_is_given_to_two_of_many_pods() -> None:
    async with running() as world:
        offers = [local(f"v{n}", f"n{n % 2}") for n in range(6)]
        wishes = [(kinds.PVC, claim(f"c{n}", storageClassName="lazy")) for n in range(8)]
        await made(world, lazy(), *offers, *wishes, *[user(f"p{n}", f"c{n}") for n in range(8)])
        taken = [given(world, f"c{n}") for n in range(8)]
        assert sorted(one for one in taken if one) == [f"v{n}" for n in range(6)]
        left = [n for n in range(8) if not taken[n]]
        assert all(node_of(world, f"p{n}") == "" for n in left)
        message = world.events("FailedScheduling")[0]
        assert "2 node(s) didn't find available persistent volumes to bind" in message
        await made(world, local("w", "n0"), local("x", "n1"))
        assert all(node_of(world, f"p{n}") for n in range(8))


async def test_a_pod_keeps_its_room_while_its_volume_is_made() -> None:
    async with running(nodes=1) as world:
        amounts = {"requests": {"cpu": "6"}}
        first = user("p", "data")
        first[1]["spec"]["containers"][0]["resources"] = amounts
        await made(world, lazy(MAKER), (kinds.PVC, claim(storageClassName="lazy")), first)
        asked = world.get(kinds.PVC, "data")
        assert asked["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == "n0"
        assert world.events("ExternalProvisioning") and node_of(world, "p") == ""
        second = user("q")
        second[1]["spec"]["containers"][0]["resources"] = amounts
        await made(world, second)
        assert node_of(world, "q") == "", "there is no room besides the first"
        reference = {"namespace": "default", "name": "data", "uid": asked["metadata"]["uid"]}
        await made(world, (kinds.PV, volume("new", storageClassName="lazy", claimRef=reference)))
        assert (node_of(world, "p"), node_of(world, "q")) == ("n0", "")


async def test_a_node_that_the_provisioner_gives_back_is_chosen_anew() -> None:
    async with running(nodes=1) as world:
        await made(
            world, lazy(MAKER), (kinds.PVC, claim(storageClassName="lazy")), user("p", "data")
        )
        back = {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": None}}}
        await world.patch(kinds.PVC, "data", back)
        await world.quiet()
        assert "provisioning failed for PVC" in " ".join(world.events("FailedScheduling"))
        chosen = world.get(kinds.PVC, "data")["metadata"]["annotations"]
        assert chosen["volume.kubernetes.io/selected-node"] == "n0"


async def test_volumes_that_take_too_long_are_given_up_and_asked_for_again() -> None:
    async with running(nodes=1) as world:
        await made(
            world, lazy(MAKER), (kinds.PVC, claim(storageClassName="lazy")), user("p", "data")
        )
        assert world.events("FailedScheduling") == []
        await world.clock.advance(601)
        await world.quiet()
        assert "provisioning failed for PVC" in " ".join(world.events("FailedScheduling"))


async def test_a_pod_that_goes_while_its_volume_is_made_leaves_its_claim_to_the_next() -> None:
    async with running(nodes=1) as world:
        await made(
            world, lazy(MAKER), (kinds.PVC, claim(storageClassName="lazy")), user("p", "data")
        )
        await world.delete(kinds.POD, "p", grace_s=0)
        uid = world.get(kinds.PVC, "data")["metadata"]["uid"]
        reference = {"namespace": "default", "name": "data", "uid": uid}
        await made(world, (kinds.PV, volume("new", storageClassName="lazy", claimRef=reference)))
        assert phase(world, kinds.PVC, "data") == "Bound" and world.missing(kinds.POD, "p")
        await made(world, user("q", "data"))
        assert node_of(world, "q") == "n0"


async def test_an_ephemeral_volume_is_bound_where_its_pod_goes() -> None:
    async with running() as world:
        pod = pod_with_scratch()
        del pod["spec"]["nodeName"]
        pod["spec"]["volumes"][0]["ephemeral"]["volumeClaimTemplate"]["spec"] = {
            **claim()["spec"], "storageClassName": "lazy"}  # fmt: skip
        await made(world, lazy(), local("v", "n1"), (kinds.POD, pod))
        assert node_of(world, "p") == "n1" and given(world, "p-scratch") == "v"


async def test_a_volume_that_turns_up_is_not_offered_to_a_claim_whose_pod_chooses() -> None:
    """(It was, again and again.)"""
    async with running(nodes=1) as world:
        await made(
            world, lazy(MAKER), (kinds.PVC, claim(storageClassName="lazy")), user("p", "data")
        )
        await made(world, local("v", "n0"))
        assert phase(world, kinds.PV, "v") == "Available" and given(world) == ""


@pytest.mark.parametrize("seed", range(4))
async def test_many_at_once_are_paired_one_to_one_and_nobody_waits_in_vain(seed: int) -> None:
    chance = Chance.seeded(seed)
    async with running(nodes=0) as world:
        work: list[Operation] = []
        for n in range(40):
            wish, offer = claim(f"c{n}", f"{chance.below(9) + 1}Gi"), f"{chance.below(9) + 1}Gi"
            wish["metadata"]["namespace"] = "default"
            work += [Create(kinds.PVC, wish), Create(kinds.PV, volume(f"v{n}", offer))]
        for at in range(0, len(work), 16):
            await world.client.submit(work[at : at + 16])
            await world.clock.advance(0.01)
        await world.quiet()
        claims = world.cache.all(kinds.PVC, "default")
        volumes = {doc["metadata"]["name"]: doc for doc in world.cache.all(kinds.PV)}
        taken = [doc["spec"]["volumeName"] for doc in claims if doc["status"]["phase"] == "Bound"]
        assert len(taken) == len(set(taken)) > 20
        for doc in claims:
            if doc["status"]["phase"] == "Bound":
                other = volumes[doc["spec"]["volumeName"]]["spec"]["claimRef"]
                assert other["uid"] == doc["metadata"]["uid"]
        free = [
            _gi(doc["spec"]["capacity"])
            for doc in volumes.values()
            if doc["status"]["phase"] != "Bound"
        ]
        waiting = [
            _gi(doc["spec"]["resources"]["requests"])
            for doc in claims
            if "volumeName" not in doc["spec"]
        ]
        assert not free or not waiting or max(free) < min(waiting)


def _gi(amounts: Doc) -> int:
    return int(amounts["storage"].removesuffix("Gi"))
