"""What a pod's Secrets hold is not in what is told of a failed start."""

from __future__ import annotations

import base64

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.containers.environment import Sources, without_secrets


def secret(**data: str) -> Doc:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "data": encoded}


def test_values_are_taken_out() -> None:
    sources = Sources(secrets={"a": secret(one="hunter-22", two="on"), "b": secret(c="hunter-22!")})
    said = 'exec: "/hunter-22": no such file, nor hunter-22!, on this disk'
    hidden = "<secret contents redacted>"
    assert without_secrets(said, sources) == (
        f'exec: "/{hidden}": no such file, nor {hidden}, on this disk'
    )
    assert without_secrets(said, Sources()) == said
