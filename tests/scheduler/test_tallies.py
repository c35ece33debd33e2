"""Counting pods: by what selectors ask of them, and by the terms that they carry."""

from __future__ import annotations

from typing import Any

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.pods.affinity import PodTerm
from longshore.machinery.scheduler.pods.podclass import PodClass, PodClasses
from longshore.machinery.scheduler.view.tallies import QUERIES_MAX, Tallies

from .placing import node, view_of
from .test_classes import HOST, REQUIRED, labelled

CLASSES = PodClasses()


def of(labels: dict[str, str], namespace: str = "shop", **spec: Any) -> PodClass:
    doc = labelled("p", labels, **spec)
    doc["metadata"]["namespace"] = namespace
    return CLASSES.of(doc)


def term(asker: PodClass) -> PodTerm:
    assert asker.affinity is not None
    return asker.affinity.apart[0]


def asking(**more: Any) -> PodClass:
    affinity: Doc = {"topologyKey": HOST, **more}
    return of({"role": "asker"}, affinity={"podAntiAffinity": {REQUIRED: [affinity]}})


WEB = {"labelSelector": {"matchLabels": {"app": "web"}}}


def test_a_query_is_counted_from_what_is_there_and_kept_up_to_date() -> None:
    tallies, query = Tallies(), term(asking(**WEB)).query
    tallies.add(of({"app": "web", "x": "1"}), {0: 2, 5: 1})
    tallies.add(of({"app": "db"}), {0: 7})
    counts = tallies.matching(query)
    assert counts.rows == {0: 2, 5: 1}
    assert tallies.column(counts, 8).tolist() == [2, 0, 0, 0, 0, 1, 0, 0]
    tallies.add(of({"app": "web", "x": "2"}), {5: 3})
    tallies.add(of({"app": "web", "x": "1"}), {0: -2, 5: -1})
    assert counts.rows == {5: 3}
    assert tallies.column(counts, 8)[5] == 3


def test_a_query_is_of_the_asker_s_namespace_unless_it_says_otherwise() -> None:
    tallies = Tallies()
    tallies.put_namespace("other", {"team": "blue"})
    tallies.add(of({"app": "web"}, "other"), {3: 1})
    assert tallies.matching(term(asking(**WEB)).query).rows == {}
    assert tallies.matching(term(asking(**WEB, namespaces=["other"])).query).rows == {3: 1}
    everywhere = term(asking(**WEB, namespaceSelector={})).query
    assert tallies.matching(everywhere).rows == {3: 1}


def test_labels_of_namespaces_decide_and_may_change() -> None:
    tallies, blue = Tallies(), {"matchLabels": {"team": "blue"}}
    asker = asking(**WEB, namespaceSelector=blue)
    web = of({"app": "web"}, "other")
    tallies.add(web, {3: 1})
    tallies.add(asker, {4: 1})
    assert tallies.matching(term(asker).query).rows == {}
    assert tallies.concerning(web.kin) == ()
    assert tallies.put_namespace("other", {"team": "blue"})
    assert not tallies.put_namespace("other", {"team": "blue"})
    assert tallies.matching(term(asker).query).rows == {3: 1}
    assert tallies.concerning(web.kin) == (term(asker),)
    tallies.drop_namespace("other")
    assert tallies.matching(term(asker).query).rows == {}
    assert tallies.concerning(web.kin) == ()


def test_terms_concern_those_whom_they_mean_while_somebody_carries_them() -> None:
    tallies, asker, web = Tallies(), asking(**WEB), of({"app": "web"})
    assert tallies.concerning(web.kin) == ()
    tallies.add(asker, {1: 2})
    assert tallies.concerning(web.kin) == (term(asker),)
    assert tallies.concerning(of({"app": "db"}).kin) == ()
    assert tallies.carrying(term(asker)).rows == {1: 2}
    tallies.add(asker, {1: -2})
    assert tallies.concerning(web.kin) == ()


def test_selectors_without_an_exact_label_are_found_too() -> None:
    some = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}
    tallies, asker, web = Tallies(), asking(labelSelector=some), of({"app": "web"})
    tallies.add(web, {1: 1})
    tallies.add(asker, {2: 1})
    assert tallies.matching(term(asker).query).rows == {1: 1}
    assert tallies.concerning(web.kin) == (term(asker),)


def test_the_oldest_queries_are_forgotten_and_counted_again() -> None:
    tallies = Tallies()
    tallies.add(of({"app": "web"}), {1: 1})
    first = tallies.matching(term(asking(**WEB)).query)
    for number in range(QUERIES_MAX + 5):
        tallies.matching(term(asking(labelSelector={"matchLabels": {"app": str(number)}})).query)
    tallies.add(of({"app": "web"}), {2: 1})
    again = tallies.matching(term(asking(**WEB)).query)
    assert again is not first
    assert again.rows == {1: 1, 2: 1}


def test_columns_grow_with_the_cluster() -> None:
    view = view_of(node("a"))
    query = term(asking(**WEB)).query
    view.put_pod("x", "a", of({"app": "web"}))
    assert view.column(view.counts(query)).tolist() == [1]
    view.put_node(node("b"))
    view.put_pod("y", "b", of({"app": "web"}))
    assert view.column(view.counts(query)).tolist() == [1, 1]


def test_pods_that_wait_for_their_node_count_once_it_is_there() -> None:
    view, query = view_of(node("a")), term(asking(**WEB)).query
    view.put_pod("x", "late", of({"app": "web"}))
    assert view.counts(query).rows == {}
    view.put_node(node("late"))
    assert view.counts(query).rows == {view.rows["late"]: 1}
