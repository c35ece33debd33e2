"""Which plug-ins there are, which are on, and how they are switched."""

from __future__ import annotations

import pytest

from longshore.core.registry.admission.chain import UnknownPlugin, enabled
from longshore.core.registry.admission.surroundings import AdmissionConfig
from longshore.core.registry.admission.table import PLUGINS

from .rig import admitting, ask, of_spec


def test_those_that_are_on_by_default_are_upstreams() -> None:
    on = [plugin.name for plugin in enabled(AdmissionConfig())]
    assert on == [plugin.name for plugin in PLUGINS if plugin.on]
    assert {"NamespaceLifecycle", "ServiceAccount", "Priority", "RuntimeClass"} <= set(on)
    assert not {"AlwaysPullImages", "EventRateLimit", "PodNodeSelector"} & set(on)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (AdmissionConfig(enable=("Priorty",)),
         'enable-admission-plugins plugin "Priorty" is unknown'),
        (AdmissionConfig(disable=("X",)), 'disable-admission-plugins plugin "X" is unknown'),
        (AdmissionConfig(enable=("Priority",), disable=("Priority",)),
         "Priority in enable-admission-plugins and disable-admission-plugins overlapped"),
        (AdmissionConfig(enable=("NamespaceAutoProvision",)),
         "admission plugin NamespaceAutoProvision cannot be switched on: "
         "this server does not have it yet"),
    ],
)  # fmt: skip
def test_what_cannot_be_switched_is_said(config: AdmissionConfig, why: str) -> None:
    with pytest.raises(UnknownPlugin) as refusal:
        enabled(config)
    assert str(refusal.value) == why


async def test_what_is_off_does_nothing() -> None:
    doc = of_spec(priorityClassName="nobody-made-it")
    async with admitting() as api:
        assert (await ask(api, doc)).status == 403
    async with admitting(disable=("Priority", "ServiceAccount", "DefaultTolerationSeconds")) as api:
        spec = (await ask(api, doc)).doc["spec"]
        assert not {"tolerations", "volumes", "serviceAccountName"} & spec.keys()
