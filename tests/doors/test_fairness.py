"""The parts of priority and fairness by themselves: hands, allotments, queues, levels, work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from longshore.base.limits import SEATS_TOTAL
from longshore.core.objects.flow_defaults import PRIORITY_LEVELS
from longshore.core.objects.kinds import CONFIG_MAP, POD, Doc
from longshore.core.registry.client import Create
from longshore.doors.kit.http import Request
from longshore.doors.kubernetes.fairness.allotment import Allotment, allot
from longshore.doors.kubernetes.fairness.levels import Level, Pool
from longshore.doors.kubernetes.fairness.queues import Queues, Waiting
from longshore.doors.kubernetes.fairness.sharding import deal, flow_hash
from longshore.doors.kubernetes.fairness.work import work_of
from longshore.doors.kubernetes.translate import Target
from tests.doors.rig import ADMIN, config_map, kube, pod

# ---- shuffle sharding


@given(st.integers(0, 2**64 - 1), st.integers(1, 128), st.data())
def test_a_hand_has_different_cards_of_the_deck(
    number: int, deck: int, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, min(deck, 8)))
    hand = deal(number, deck, size)
    assert len(set(hand)) == size
    assert all(0 <= card < deck for card in hand)


def test_every_hand_is_dealt_equally_often() -> None:
    hands = Counter(deal(number, 5, 3) for number in range(5 * 4 * 3 * 7))
    assert set(hands.values()) == {7}
    assert len(hands) == 5 * 4 * 3


def test_flows_seldom_share_all_their_queues() -> None:
    mouse = deal(flow_hash("users", "mouse"), 128, 6)
    elephants = [deal(flow_hash("users", f"elephant-{n}"), 128, 6) for n in range(1000)]
    assert flow_hash("users", "mouse") != flow_hash("other", "mouse")
    assert not any(set(mouse) <= set(hand) for hand in elephants)


# ---- allotments


def test_the_default_levels_have_upstreams_seats() -> None:
    shares = allot({doc["metadata"]["name"]: doc for doc in PRIORITY_LEVELS}, SEATS_TOTAL)
    assert {name: (a.nominal, a.own) for name, a in shares.items()} == {
        "exempt": (0, 0), "catch-all": (13, 13), "system": (74, 50), "node-high": (98, 74),
        "leader-election": (25, 25), "workload-high": (98, 49), "workload-low": (245, 25),
        "global-default": (49, 25),
    }  # fmt: skip
    assert shares["global-default"].most == 49 + SEATS_TOTAL


def test_borrowing_may_be_bounded_and_no_shares_are_no_seats() -> None:
    levels = {"a": limited(1, borrowingLimitPercent=50), "b": limited(3, borrowingLimitPercent=0)}
    assert allot(levels, 40) == {"a": Allotment(10, 10, 15), "b": Allotment(30, 30, 30)}
    assert allot({"a": limited(0)}, 40) == {"a": Allotment(0, 0, 40)}


def limited(shares: int, **more: object) -> Doc:
    response = {
        "type": "Queue", "queuing": {"queues": 4, "handSize": 1, "queueLengthLimit": 10},
    }  # fmt: skip
    limits = {"nominalConcurrencyShares": shares, "limitResponse": response, **more}
    return {"spec": {"type": "Limited", "limited": limits}}


# ---- queues


def in_turn(queues: Queues) -> Waiting:
    request = queues.head()
    assert request is not None
    queues.dispatch(request)
    return request


@given(
    st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=30), min_size=2, max_size=6),
    st.randoms(use_true_random=False),
)
def test_queues_that_always_wait_are_given_equal_work(
    flows: list[list[int]], chance: object
) -> None:
    queues = Queues(len(flows), 1, 100)
    left, served = [len(works) for works in flows], [0] * len(flows)
    whose: dict[Waiting, int] = {}
    for flow, works in enumerate(flows):
        for work in works:
            request = Waiting(1, work)
            whose[request] = flow
            assert queues.join((flow,), request)
    while all(left):
        request = in_turn(queues)
        flow = whose[request]
        served[flow] += request.work
        left[flow] -= 1
        # The bound of start-time fair queueing: one largest request of each.
        for one, works in enumerate(flows):
            for other, others in enumerate(flows):
                assert abs(served[one] - served[other]) <= max(works) + max(others)
    while queues.head() is not None:
        in_turn(queues)
    assert queues.waiting == 0


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 5))
def test_whoever_comes_from_a_pause_is_next_but_has_saved_nothing_up(
    works: Sequence[int], floods: int
) -> None:
    queues = Queues(floods + 1, 1, 1000)
    for _ in range(10):
        for work in works:
            for card in range(floods):
                queues.join((card,), Waiting(1, work))
    for _ in range(2 * floods):
        in_turn(queues)
    mouse = [Waiting(1, max(works)) for _ in range(5)]
    for request in mouse:
        queues.join((floods,), request)
    assert mouse[0] in [in_turn(queues) for _ in range(floods + 1)]
    given: Counter[int] = Counter()
    while mouse[-1].queue is not None:
        queue = getattr(queues.head(), "queue", None)
        given[id(queue)] += in_turn(queues).work
    assert len(given) == floods + 1
    assert min(given.values()) >= 2 * max(works)


def test_a_flow_joins_the_shortest_queue_of_its_hand_until_all_are_full() -> None:
    queues = Queues(4, 2, 2)
    requests = [Waiting(1, work) for work in (5, 1, 1, 1, 1)]
    joined = [queues.join((1, 3), request) for request in requests]
    assert joined == [True, True, True, False, False]
    assert requests[0].queue is not requests[1].queue
    assert requests[1].queue is requests[2].queue
    assert queues.join((0, 1), Waiting(1, 1))


def test_who_gives_up_makes_room_and_is_passed_over() -> None:
    queues = Queues(1, 1, 2)
    first, second, third = (Waiting(1, 1) for _ in range(3))
    assert queues.join((0,), first) and queues.join((0,), second)
    queues.leave(first)
    assert queues.join((0,), third)
    assert list(queues.everyone()) == [second, third]
    assert [in_turn(queues), in_turn(queues)] == [second, third]
    assert queues.head() is None


# ---- levels


def pool_of(total: int, **levels: Doc) -> tuple[Pool, list[Level]]:
    pool = Pool(total)
    pool.configure(levels)
    return pool, [pool.levels[name] for name in levels]


def begin(level: Level, seats: int = 1, *, turns: bool = True) -> bool:
    """Take seats if they are there, each time in a turn of its own."""
    if turns:
        level.begun = 0
    if not level.fits(seats, seats):
        return False
    level.take(seats, seats)
    return True


def test_a_level_begins_no_more_than_its_nominal_work_in_a_turn() -> None:
    _, (one, _) = pool_of(20, one=limited(1), two=limited(1, lendablePercent=100))
    assert [begin(one, turns=False) for _ in range(11)] == [True] * 10 + [False]
    one.begun = 0
    assert begin(one, 1, turns=False)  # borrowed, but in a turn of its own


def test_idle_seats_are_lent_and_come_back() -> None:
    pool, (one, two) = pool_of(20, one=limited(1), two=limited(1, lendablePercent=50))
    assert sum(begin(one) for _ in range(30)) == 15
    assert pool.free == 0
    assert sum(begin(two) for _ in range(30)) == 5
    one.give(1)
    assert begin(two)
    assert not begin(one)
    for level in (one, two):
        level.give(level.used)
    assert pool.free == 5


def test_nobody_borrows_while_others_lack_their_own() -> None:
    pool, (one, two) = pool_of(20, one=limited(1), two=limited(1, lendablePercent=50))
    assert sum(begin(one) for _ in range(12)) == 12
    assert sum(begin(two) for _ in range(8)) == 8
    two.queues.join((0,), Waiting(1, 1))
    pool.hungry.add(two)
    one.give(1)
    assert two.deprived and not begin(one)
    assert begin(two)


def test_one_request_may_always_run() -> None:
    _, (none, all_) = pool_of(10, none=limited(0), all_=limited(1))
    assert sum(begin(all_) for _ in range(20)) == 10
    assert begin(none) and not begin(none)
    assert none.width(1000) == 1
    assert all_.width(1) == 1 and all_.width(10) == 2 and all_.width(1000) == 10


def test_levels_change_while_seats_are_in_use() -> None:
    pool, (one, two) = pool_of(20, one=limited(1), two=limited(1, lendablePercent=50))
    assert sum(begin(one) for _ in range(14)) == 14
    pool.configure({"one": limited(1)})
    assert pool.levels == {"one": one} and (one.nominal, pool.free) == (20, 0)
    assert all(begin(two) for _ in range(30))
    one.give(14)
    two.give(30)
    assert pool.free == 0


# ---- work

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
WORK: list[tuple[str, Doc, str, int]] = [
    ("list", {}, "", 31),
    ("list", {"limit": ["50"]}, "", 6),
    ("list", {"limit": ["9" * 5000]}, "", 31),
    ("list", {"limit": ["50"], "labelSelector": ["a=b"]}, "", 101),
    ("list", {}, TABLE, 1001),
    ("watch", {"resourceVersion": ["7"]}, "", 1),
    ("watch", {"resourceVersion": ["0"]}, "", 31),
    ("watch", {}, "", 31),
    ("watch", {"resourceVersion": ["7"], "sendInitialEvents": ["true"]}, "", 31),
    ("watch", {"sendInitialEvents": ["false"]}, "", 1),
    ("deletecollection", {}, "", 31),
]


async def test_work_is_what_is_looked_at() -> None:
    async with kube() as ask:
        maps = [config_map(f"map-{number}") for number in range(300)]
        for doc in maps:
            doc["metadata"]["namespace"] = "default"
        await ask.registry.submit(ADMIN, [Create(CONFIG_MAP, doc) for doc in maps])
        for verb, query, accept, work in WORK:
            request = Request("GET", "/", query, {"accept": accept}, b"", None)
            cache, there = ask.registry.cache, Target(CONFIG_MAP, "default")
            assert work_of(cache, verb, request, there) == work, (verb, query)
            assert work_of(cache, verb, request, Target(CONFIG_MAP, "other")) == 1


async def test_the_pods_of_a_node_are_found_without_looking_at_others() -> None:
    async with kube() as ask:
        pods = [pod(f"pod-{number}", namespace="default") for number in range(60)]
        for number, doc in enumerate(pods):
            doc["spec"]["nodeName"] = "here" if number < 9 else "there"
        await ask.registry.submit(ADMIN, [Create(POD, doc) for doc in pods])
        for selector, work in (("spec.nodeName=here", 4), ("metadata.name=pod-1", 21)):
            query = {"fieldSelector": [selector]}
            request = Request("GET", "/", query, {}, b"", None)
            assert work_of(ask.registry.cache, "list", request, Target(POD)) == work
