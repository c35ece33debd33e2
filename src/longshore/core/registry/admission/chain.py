"""The plug-ins that are on, compiled: which functions a write of a kind has to pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from longshore.core.objects.kinds import Kind
from longshore.core.registry.admission.attributes import Attributes, Function, Hook, Hooks
from longshore.core.registry.admission.surroundings import AdmissionConfig, Surroundings
from longshore.core.registry.admission.table import PLUGINS, Plugin

_BY_NAME = {plugin.name: plugin for plugin in PLUGINS}


class UnknownPlugin(ValueError):
    """A plug-in cannot be switched as asked; the message says which and why."""


class Steps(NamedTuple):
    """What a write passes, in order."""

    changes: tuple[Function, ...]
    checks: tuple[Function, ...]

    def admit(self, request: Attributes) -> None:
        """Complete the request's object in place, then judge it. Raises ApiError."""
        self.change(request)
        self.check(request)

    def change(self, request: Attributes) -> None:
        for change in self.changes:
            change(request)

    def check(self, request: Attributes) -> None:
        for check in self.checks:
            check(request)


class Admission:
    """All plug-ins that are on, and behind them what no switch turns off."""

    def __init__(self, around: Surroundings, always: Sequence[Hooks] = ()) -> None:
        chosen = enabled(around.config)
        self._names = frozenset(plugin.name for plugin in chosen)
        built = [plugin.build(around) for plugin in chosen if plugin.build]
        built += always
        self._changes = [hook for hooks in built for hook in hooks.changes]
        self._checks = [hook for hooks in built for hook in hooks.checks]
        self._steps: dict[tuple[str, Kind, str], Steps] = {}

    def looks_up(self, verb: str, kind: Kind) -> frozenset[Kind] | None:
        """The kinds of objects on which the outcome depends; None if on more than that."""
        concerned = [h for h in (*self._changes, *self._checks) if h.concerns(verb, kind, "")]
        if any(hook.looks_up is None for hook in concerned):
            return None
        return frozenset(looked_up for hook in concerned for looked_up in hook.looks_up or ())

    def has(self, name: str) -> bool:
        """Whether a plug-in is on."""
        return name in self._names

    def steps(self, verb: str, kind: Kind, subresource: str = "") -> Steps:
        """What concerns writes of that kind."""
        key = (verb, kind, subresource)
        found = self._steps.get(key)
        if found is None:
            found = self._steps[key] = Steps(_of(self._changes, key), _of(self._checks, key))
        return found


def _of(hooks: list[Hook], key: tuple[str, Kind, str]) -> tuple[Function, ...]:
    return tuple(hook.run for hook in hooks if hook.concerns(*key))


def enabled(config: AdmissionConfig) -> list[Plugin]:
    """The plug-ins that are on, in order. Raises UnknownPlugin."""
    for flag, names in (("enable", config.enable), ("disable", config.disable)):
        for name in names:
            if name not in _BY_NAME:
                raise UnknownPlugin(f'{flag}-admission-plugins plugin "{name}" is unknown')
    both = sorted(set(config.enable) & set(config.disable))
    if both:
        raise UnknownPlugin(
            f"{both[0]} in enable-admission-plugins and disable-admission-plugins overlapped"
        )
    for name in config.enable:
        if why := _BY_NAME[name].missing:
            raise UnknownPlugin(f"admission plugin {name} cannot be switched on: {why}")
    chosen = ({p.name for p in PLUGINS if p.on} | {*config.enable}) - {*config.disable}
    return [plugin for plugin in PLUGINS if plugin.name in chosen]
