"""What waits, what is parked, and what wakes it."""

from __future__ import annotations

from collections import Counter

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler import desk as room
from longshore.machinery.scheduler.desk import Desk, unbound
from longshore.machinery.scheduler.turns import Turn

from .placing import node, pod


def desk_with(*docs: Doc) -> Desk:
    desk = Desk()
    for doc in docs:
        if doc["kind"] == "Node":
            desk._gained(desk.view.put_node(doc))
        else:
            desk.see_pod(doc)
    return desk


def bound(turn: Turn) -> dict[str, str]:
    return {pod.name: node_name for pod, node_name in turn.bound}


def test_the_urgent_go_first_then_the_early() -> None:
    desk = desk_with(
        node("a", pods=2),
        pod("early", owner="x"),
        pod("late", owner="y"),
        pod("urgent", owner="z", priority=10),
    )
    turn = desk.turn()
    assert set(bound(turn)) == {"urgent", "early"}
    assert [(one.pod.name, one.message) for one in turn.refused] == [
        (
            "late",
            "0/1 nodes are available: 1 Too many pods. preemption: 0/1 nodes are available: "
            "1 No preemption victims found for incoming pod.",
        )
    ]


def test_what_is_parked_is_not_asked_again_until_there_is_room() -> None:
    desk = desk_with(node("a", pods=1), pod("first"), pod("second"))
    desk.turn()
    assert not desk.has_work()
    desk.see_pod(pod("elsewhere", node="b"))
    assert not desk.has_work()
    desk.forget("uid-first")
    assert bound(desk.turn()) == {"second": "a"}


def test_only_as_many_wake_as_there_is_room_for() -> None:
    desk = desk_with(node("a", pods=1), *(pod(f"p{i}") for i in range(100)))
    desk.turn()
    desk.forget("uid-p0")
    turn = desk.turn()
    assert len(turn.bound) == 1
    assert turn.refused == []
    assert len(desk.parked) == 98


def test_a_better_node_wakes_what_it_suits() -> None:
    desk = desk_with(
        node("a"), pod("picky", nodeSelector={"disk": "ssd"}), pod("huge", {"cpu": "100"})
    )
    desk.turn()
    desk._gained(desk.view.put_node(node("a", labels={"disk": "ssd"})))
    assert bound(desk.turn()) == {"picky": "a"}


def test_a_heartbeat_wakes_nobody() -> None:
    desk = desk_with(node("a"), pod("huge", {"cpu": "100"}))
    desk.turn()
    assert desk.view.put_node({**node("a"), "metadata": node("a")["metadata"]}) is None


def test_news_of_our_own_refusal_does_not_wake_the_pod() -> None:
    desk = desk_with(node("a", pods=0), pod("p"))
    desk.turn()
    told = pod("p")
    told["status"]["conditions"] = [{"type": "PodScheduled", "status": "False"}]
    desk.see_pod(told)
    assert not desk.has_work()


def test_a_changed_pod_is_asked_again() -> None:
    desk = desk_with(node("a", taints=["x=y:NoSchedule"]), pod("p"))
    desk.turn()
    desk.see_pod(pod("p", tolerations=[{"operator": "Exists"}]))
    assert bound(desk.turn()) == {"p": "a"}


def test_gated_foreign_and_leaving_pods_are_left_alone() -> None:
    leaving = pod("leaving")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    desk = desk_with(
        node("a"),
        pod("gated", schedulingGates=[{"name": "wait"}]),
        pod("foreign", schedulerName="another"),
        leaving,
    )
    assert not desk.has_work()
    desk.see_pod(pod("gated"))
    assert bound(desk.turn()) == {"gated": "a"}


def test_a_finished_pod_frees_its_room() -> None:
    desk = desk_with(node("a", pods=1), pod("job", node="a"), pod("next"))
    assert desk.turn().bound == []
    done = pod("job", node="a")
    done["status"]["phase"] = "Succeeded"
    desk.see_pod(done)
    assert bound(desk.turn()) == {"next": "a"}


def test_an_assumed_pod_is_not_placed_twice_by_old_news() -> None:
    desk = desk_with(node("a"), pod("p"))
    desk.turn()
    desk.see_pod(pod("p"))
    assert not desk.has_work()
    desk.see_pod(pod("p", node="a"))
    assert desk.view.used[2].tolist() == [1]


def test_a_failed_binding_gives_the_room_back() -> None:
    desk = desk_with(node("a", pods=1), pod("p"))
    ((pending, _),) = desk.turn().bound
    unbound(desk, [(pending, None)])
    assert not desk.view.used.any()
    desk.see_pod(pod("q"))
    assert bound(desk.turn()) == {"q": "a"}


def test_a_pod_that_another_bound_counts_where_it_is() -> None:
    desk = desk_with(node("a", pods=1), pod("p"))
    ((pending, _),) = desk.turn().bound
    unbound(desk, [(pending, pod("p", node="b"))])
    assert desk.view.node_of("uid-p") == "b"
    assert not desk.view.used.any()


def test_a_turn_has_an_end() -> None:
    desk = desk_with(
        *(node(f"n{i}", pods=1000) for i in range(10)),
        *(pod(f"p{i}") for i in range(room.TURN_MAX + 10)),
    )
    assert len(desk.turn().bound) == room.TURN_MAX
    assert len(desk.turn().bound) == 10


def test_single_pods_of_many_controllers_are_placed_together_and_noted_as_what_they_are() -> None:
    docs = [pod(f"p{n}", owner=f"rs-{n}") for n in range(40)]
    desk = desk_with(*(node(f"n{n}", pods=9) for n in range(4)), *docs)
    turn = desk.turn()
    placed = bound(turn)
    assert sorted(Counter(placed.values()).values()) == [9, 9, 9, 9]
    assert len(turn.refused) == 4
    for name in placed:
        noted = desk.view.class_of(f"uid-{name}")
        assert noted is not None
        assert noted.kin.owner == name.replace("p", "rs-")
