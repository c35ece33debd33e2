"""Which pods autoscalers scale is known as it would be by looking at all of them; and what /metrics tells."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from longshore.base.chance import Chance
from longshore.base.users import loop_user
from longshore.core.objects import kinds
from longshore.core.objects.selectors import Selector, parse_labels
from longshore.core.registry.client import Create, Delete, Patch
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.machinery.controllers.autoscaling.metrics import AutoscalerMetrics, action
from longshore.machinery.controllers.autoscaling.selected import Selected
from longshore.testing.clock import VirtualClock

PODS, SCALERS = ("a", "b", "c"), ("x", "y")
_labels = st.fixed_dictionaries({}, optional={"app": st.sampled_from("12"), "tier": st.just("t")})
_selectors = st.sampled_from(["app=1", "app=2", "tier", "app in (1,2),tier=t", "!app"])
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("pod"), st.sampled_from(PODS), _labels),
        st.tuples(st.just("gone"), st.sampled_from(PODS), st.none()),
        st.tuples(st.just("scaler"), st.sampled_from(SCALERS), st.none() | _selectors),
    ),
    max_size=12,
)


class Model:
    """A namespace as it is, beside what is kept of it."""

    def __init__(self, registry: Registry) -> None:
        self.client = InProcess(registry, loop_user("test"))
        self.selected = Selected(registry.cache)
        self.labels: dict[str, dict[str, str]] = {}
        self.scalers: dict[str, Selector] = {}

    async def pod(self, name: str, labels: dict[str, str]) -> None:
        if name in self.labels:
            cleared = {"app": None, "tier": None, **labels}
            patch = {"metadata": {"labels": cleared}}
            await self.client.write(Patch(kinds.POD, "default", name, patch))
        else:
            metadata = {"name": name, "namespace": "default", "labels": labels}
            spec = {"containers": [{"name": "c", "image": "x"}]}
            await self.client.write(Create(kinds.POD, {"metadata": metadata, "spec": spec}))
        self.labels[name] = labels
        self.selected.hear("default", name)

    async def gone(self, name: str) -> None:
        if self.labels.pop(name, None) is not None:
            await self.client.write(Delete(kinds.POD, "default", name))
            self.selected.hear("default", name)

    def scaler(self, name: str, text: str | None) -> None:
        self.selected.put(("default", name), parse_labels(text) if text else None)
        if text:
            self.scalers[name] = parse_labels(text)
        else:
            self.scalers.pop(name, None)

    def means(self, scaler: str) -> list[str]:
        chosen = self.scalers[scaler]
        return sorted(name for name, labels in self.labels.items() if chosen.matches(labels))

    def check(self) -> None:
        for name in self.scalers:
            found = [pod.name for pod in self.selected.pods(("default", name))]
            assert sorted(found) == self.means(name)
            others = [one for one in self.scalers if set(self.means(one)) & set(self.means(name))]
            expected = sorted(others) if len(others) > 1 else []
            assert list(self.selected.rivals(("default", name))) == expected


async def _play(steps: Sequence[tuple[str, str, object]]) -> None:
    registry = Registry(MemoryStore(), VirtualClock(), Chance.seeded(1))
    await registry.open()
    async with asyncio.TaskGroup() as crew:
        running = crew.create_task(registry.run())
        model = Model(registry)
        doc = {"metadata": {"name": "default"}}
        await model.client.write(Create(kinds.NAMESPACE, doc))
        for what, name, value in steps:
            if what == "pod":
                assert isinstance(value, dict)
                await model.pod(name, value)
            elif what == "gone":
                await model.gone(name)
            else:
                model.scaler(name, str(value) if value else None)
            model.check()
        running.cancel()


@given(_steps)
def test_it_is_known_as_by_looking_at_all(steps: list[tuple[str, str, object]]) -> None:
    asyncio.run(_play(steps))


def test_metrics_have_upstreams_names() -> None:
    metrics = AutoscalerMetrics()
    metrics.synced(action(1, 3), "none", 0.004)
    metrics.computed(action(3, 1), "internal", "Resource")
    lines = list(metrics.lines())
    prefix = "horizontal_pod_autoscaler_controller"
    assert f'{prefix}_reconciliations_total{{action="scale_up",error="none"}} 1' in lines
    assert (
        f'{prefix}_reconciliation_duration_seconds_bucket{{action="scale_up",error="none",le="0.004"}} 1'
        in lines
    )
    computed = 'action="scale_down",error="internal",metric_type="Resource"'
    assert f"{prefix}_metric_computation_total{{{computed}}} 1" in lines
    assert action(2, 2) == "none"
