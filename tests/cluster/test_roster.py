"""Which nodes a local cluster has, and what cluster.json keeps of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from longshore.cluster.autoscale.settings import read
from longshore.cluster.config import ClusterConfig, ClusterError, ClusterPaths
from longshore.cluster.nodes import roster


def cluster(nodes: int = 2) -> ClusterConfig:
    return ClusterConfig("c", nodes, "hollow", "none", 1)


def test_what_is_kept_is_what_was_said(tmp_path: Path) -> None:
    paths = ClusterPaths(tmp_path, "c")
    paths.create()
    sizes = read("1:6", "least-waste", 0.4, unneeded_s="90s", provision_s=None)
    config = roster.with_nodes(replace(cluster(), autoscale=sizes), ["extra"])
    paths.save(config)
    kept = paths.load()
    assert kept.places == config.places and kept.autoscale == sizes
    assert config.autoscale and config.autoscale.rules.unneeded_s == 90.0


def test_numbers_are_given_again_and_names_are_not_taken_twice() -> None:
    three = cluster(3)
    two = roster.without_nodes(three, ["node-2", "nobody"])
    assert two.places == {"node-1": 1, "node-3": 3} and two.nodes == 2
    assert roster.fresh_names(two, 2) == ["node-2", "node-4"]
    named = roster.with_nodes(two, ["special"])
    assert named.places["special"] == 2
    # Number 2 is taken, and with it the name that goes by it.
    assert roster.fresh_names(named, 1) == ["node-4"]
    with pytest.raises(ClusterError, match="there is a node 'special' already"):
        roster.with_nodes(named, ["special"])


def test_two_who_change_at_the_same_time_both_do(tmp_path: Path) -> None:
    paths = ClusterPaths(tmp_path, "c")
    paths.create()
    paths.save(cluster(1))

    def add() -> None:
        for _ in range(10):
            roster.change(paths, lambda one: roster.with_nodes(one, roster.fresh_names(one, 1)))

    others = [Thread(target=add) for _ in range(3)]
    for one in others:
        one.start()
    for one in others:
        one.join()
    places = paths.load().places
    assert len(places) == 31 and len(set(places.values())) == 31
    roster.change(paths, partial(roster.without_nodes, names=[*places][1:]))
    assert paths.load().node_names == ["node-1"]
