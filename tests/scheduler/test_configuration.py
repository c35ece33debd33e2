"""Profiles as they are written: upstream's file format, and what has no counterpart."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from longshore.machinery.scheduler import plan
from longshore.machinery.scheduler.configuration import ConfigurationError, read_profiles
from longshore.machinery.scheduler.explain import explain
from longshore.machinery.scheduler.memo import Memo
from longshore.machinery.scheduler.profile import SYSTEM_SPREADING, Profile, Strategy

from .placing import class_of, node, pod, view_of

HEAD = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"


def profiles(text: str) -> dict[str, Profile]:
    return read_profiles(yaml.safe_load(HEAD + text))


def configured(plugin: str, args: Any) -> Profile:
    doc = yaml.safe_load(HEAD)
    doc["profiles"] = [{"pluginConfig": [{"name": plugin, "args": args}]}]
    return read_profiles(doc)["default-scheduler"]


def test_an_empty_file_is_the_default_profile() -> None:
    found = profiles("")
    assert list(found) == ["default-scheduler"]
    assert found["default-scheduler"].spreading is SYSTEM_SPREADING
    assert found["default-scheduler"].strategy is Strategy.LEAST


def test_profiles_have_names_and_weights() -> None:
    found = profiles(
        """
profiles:
- schedulerName: default-scheduler
- schedulerName: no-scoring-scheduler
  plugins:
    score:
      disabled: [{name: "*"}]
      enabled: [{name: NodeAffinity, weight: 7}, {name: ImageLocality}]
"""
    )
    weights = found["no-scoring-scheduler"].weights
    assert found["default-scheduler"].weights == {}
    assert weights["NodeAffinity"] == 7
    assert weights["ImageLocality"] == 1
    assert weights["NodeResourcesFit"] == weights["InterPodAffinity"] == 0


def test_bin_packing_puts_pods_on_the_fuller_node() -> None:
    packing = configured("NodeResourcesFit", {"scoringStrategy": {"type": "MostAllocated"}})
    view = view_of(node("idle"), node("busy"))
    view.put_pod("x", "busy", class_of(pod("x", {"cpu": "1", "memory": "2Gi"})))
    wanted = class_of(pod("p", {"cpu": "500m", "memory": "1Gi"}))
    packed = plan.place(view, wanted, 6, Memo(packing))
    assert [view.names[row] for row in packed] == ["busy"] * 6
    assert view.names[plan.place(view, wanted, 1, Memo())[0]] == "idle"


def test_a_shape_is_a_line_through_points() -> None:
    shape = [{"utilization": 0, "score": 0}, {"utilization": 100, "score": 10}]
    strategy = {
        "type": "RequestedToCapacityRatio",
        "resources": [{"name": "example.com/gpu", "weight": 3}],
        "requestedToCapacityRatio": {"shape": shape},
    }
    found = configured("NodeResourcesFit", {"scoringStrategy": strategy})
    assert (found.strategy, found.shape) == (Strategy.RATIO, ((0, 0), (100, 10)))
    assert found.resources == (("example.com/gpu", 3),)


def test_default_constraints_replace_the_system_s() -> None:
    hard = {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}
    args = {"defaultConstraints": [hard], "defaultingType": "List"}
    profile = configured("PodTopologySpread", args)
    view = view_of(node("a", labels={"rack": "1"}), node("b", labels={"rack": "2"}), node("bare"))
    rows = plan.place(view, class_of(pod("p", owner="rs")), 40, Memo(profile))
    names = [view.names[row] for row in rows]
    assert (names.count("a"), names.count("b"), names.count("bare")) == (20, 20, 0)


def test_a_profile_adds_node_affinity_to_every_pod() -> None:
    term = {"matchExpressions": [{"key": "pool", "operator": "Exists"}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    profile = configured("NodeAffinity", {"addedAffinity": required})
    view = view_of(node("a"), node("b", labels={"pool": "x"}))
    assert plan.place(view, class_of(pod("p")), 2, Memo(profile)) == [1, 1]
    view.put_node(node("b"))
    assert explain(view, class_of(pod("p")), profile) == (
        "0/2 nodes are available: 2 node(s) didn't match scheduler-enforced node affinity."
    )


def test_extended_resources_can_be_somebody_else_s_to_count() -> None:
    args = {"ignoredResources": ["example.com/a"], "ignoredResourceGroups": ["other.io"]}
    profile = configured("NodeResourcesFit", args)
    asked = class_of(pod("p", {"example.com/a": "9", "other.io/b": "9"}))
    assert plan.place(view_of(node("n")), asked, 1, Memo(profile)) == [0]
    assert plan.place(view_of(node("n")), asked, 1, Memo()) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("apiVersion: v1", "this is no KubeSchedulerConfiguration of", id="kind"),
        pytest.param("parallelism: 4", "KubeSchedulerConfiguration.parallelism: not supported here", id="field"),
        pytest.param(
            "profiles: [{}, {}]",
            'profiles[1].schedulerName: Duplicate value: "default-scheduler"',
            id="name twice",
        ),
        pytest.param(
            "profiles: [{plugins: {filter: {}}}]",
            "profiles[0].plugins.filter: not supported here",
            id="filters",
        ),
        pytest.param(
            "profiles: [{plugins: {score: {enabled: [{name: Mine}]}}}]",
            'profiles[0].plugins.score.enabled[0].name: Unsupported value: "Mine"',
            id="plug-in",
        ),
        pytest.param(
            "profiles: [{pluginConfig: [{name: VolumeBinding}]}]",
            'profiles[0].pluginConfig[0].name: Unsupported value: "VolumeBinding"',
            id="arguments of a plug-in",
        ),
        pytest.param(
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: Best}}}]}]",
            'scoringStrategy.type: Unsupported value: "Best": supported values: "LeastAllocated", '
            '"MostAllocated", "RequestedToCapacityRatio"',
            id="strategy",
        ),
        pytest.param(
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: "
            "{type: RequestedToCapacityRatio}}}]}]",
            "requestedToCapacityRatio.shape: Required value: at least one point must be specified",
            id="no shape",
        ),
        pytest.param(
            "profiles: [{pluginConfig: [{name: PodTopologySpread, args: {defaultConstraints: "
            "[{maxSkew: 0, topologyKey: z, whenUnsatisfiable: DoNotSchedule}], defaultingType: List}}]}]",
            "defaultConstraints[0].maxSkew: Invalid value: 0: not in valid range [1, 2147483648]",
            id="skew",
        ),
        pytest.param(
            "profiles: [{pluginConfig: [{name: InterPodAffinity, args: {hardPodAffinityWeight: 101}}]}]",
            "hardPodAffinityWeight: Invalid value: 101: not in valid range [0, 100]",
            id="weight",
        ),
        pytest.param("profiles: 7", "profiles: Invalid value: this must be a list", id="no list"),
        pytest.param("profiles: [x]", "profiles[0]: Invalid value: this must be an object", id="no object"),
    ],
)  # fmt: skip
def test_what_is_wrong_or_not_there_is_named(text: str, why: str) -> None:
    doc = {**yaml.safe_load(HEAD), **yaml.safe_load(text)}
    with pytest.raises(ConfigurationError) as refused:
        read_profiles(doc)
    assert why in str(refused.value)
