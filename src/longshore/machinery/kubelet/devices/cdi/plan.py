"""Read CDI specifications and find out what devices add to a container. Pure.

Source of the form: cncf-tags/container-device-interface, SPEC.md 1.0. What cannot be done here is
refused by its name: a device that is half there is worse than none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.devices.model import Extras, NoSuchDevice
from longshore.machinery.runtime.protocol import Device, Hook, Mount, Propagation

T = TypeVar("T")
# Those that runc runs before a container starts. The rest are for `runc start` and `runc delete`,
# which the oci driver does without.
_STAGES = ("prestart", "createRuntime", "createContainer", "startContainer")
_PROPAGATION = {
    "private": Propagation.PRIVATE, "rprivate": Propagation.PRIVATE,
    "slave": Propagation.FROM_HOST, "rslave": Propagation.FROM_HOST,
    "shared": Propagation.BOTH_WAYS, "rshared": Propagation.BOTH_WAYS,
}  # fmt: skip
_FLAGS = ("nosuid", "nodev", "noexec")
_OPTIONS = frozenset({"ro", "rw", "bind", "rbind", *_FLAGS, *_PROPAGATION})
_EDITS = frozenset({"env", "deviceNodes", "mounts", "hooks", "additionalGids"})
_NODE = frozenset({"path", "hostPath", "type", "major", "minor", "permissions"})
_MOUNT_TYPES = ("", "bind", "none")


@dataclass(frozen=True, slots=True)
class Specification:
    """One file. priority grows with its directory: what is described twice is as the later directory
    has it. common is added once, for any number of its devices."""

    source: str
    kind: str
    priority: int
    devices: Mapping[str, Doc]
    common: Doc = field(default_factory=dict)


def specification(doc: Doc, source: str, priority: int) -> Specification:
    """Raises NoSuchDevice for what is no specification."""
    try:
        kind, devices = doc["kind"], {one["name"]: one for one in doc["devices"]}
        edits = {name: one.get("containerEdits") or {} for name, one in devices.items()}
        return Specification(source, kind, priority, edits, doc.get("containerEdits") or {})
    except (KeyError, TypeError, AttributeError) as error:
        raise NoSuchDevice(f"{source} is not a CDI specification: {error!r}") from error


def resolve(names: Iterable[str], known: Sequence[Specification]) -> Extras:
    """What these devices (VENDOR/CLASS=DEVICE) add to a container. Raises NoSuchDevice."""
    found = {name: _find(name, known) for name in dict.fromkeys(names)}
    if missing := [name for name, one in found.items() if one is None]:
        raise NoSuchDevice(f"unresolvable CDI devices {', '.join(missing)}")
    chosen = [(name, one) for name, one in found.items() if one is not None]
    edits = [(name, one.devices[name.partition("=")[2]]) for name, one in chosen]
    edits += [(name, one.common) for name, one in {id(one): (n, one) for n, one in chosen}.values()]
    return joined([_extras(name, edit) for name, edit in edits])


def _find(name: str, known: Sequence[Specification]) -> Specification | None:
    """The one that counts; none where two of a directory have the device."""
    kind, _, device = name.partition("=")
    having = [one for one in known if one.kind == kind and device in one.devices]
    best = max((one.priority for one in having), default=0)
    winners = [one for one in having if one.priority == best]
    if len(winners) > 1:
        where = ", ".join(one.source for one in winners)
        raise NoSuchDevice(f"conflicting CDI device {name}: {where}")
    return winners[0] if winners else None


def joined(parts: Sequence[Extras]) -> Extras:
    """All of them; of two that set a variable the later one counts."""
    return Extras(
        env=_merged(one.env for one in parts),
        edited=_merged(one.edited for one in parts),
        mounts=_unique(item for one in parts for item in one.mounts),
        devices=_unique(item for one in parts for item in one.devices),
        hooks=tuple(item for one in parts for item in one.hooks),
        groups=_unique(item for one in parts for item in one.groups),
        annotations=_merged(one.annotations for one in parts),
    )


def _merged(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {key: value for one in parts for key, value in one.items()}


def _unique(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))


def _extras(name: str, edits: Doc) -> Extras:
    """Raises NoSuchDevice for edits that are wrong, or that this node cannot make."""
    try:
        if refused := sorted(_refused(edits)):
            raise NoSuchDevice(
                f"CDI device {name}: not supported by this node: {', '.join(refused)}"
            )
        return Extras(
            edited=dict(one.split("=", 1) for one in edits.get("env") or ()),
            mounts=tuple(map(_mount, edits.get("mounts") or ())),
            devices=tuple(map(_device, edits.get("deviceNodes") or ())),
            hooks=tuple(map(_hook, edits.get("hooks") or ())),
            groups=tuple(edits.get("additionalGids") or ()),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoSuchDevice(f"CDI device {name}: invalid containerEdits: {error!r}") from error


def _refused(edits: Doc) -> Iterator[str]:
    yield from (f"containerEdits.{key}" for key in edits.keys() - _EDITS if edits[key])
    for node in edits.get("deviceNodes") or ():
        yield from (f"containerEdits.deviceNodes.{key}" for key in node.keys() - _NODE)
    for mount in edits.get("mounts") or ():
        unknown = set(mount.get("options") or ()) - _OPTIONS
        yield from (f"containerEdits.mounts.options={option}" for option in unknown)
        if mount.get("type", "") not in _MOUNT_TYPES:
            yield f"containerEdits.mounts.type={mount['type']}"
    for hook in edits.get("hooks") or ():
        if hook["hookName"] not in _STAGES:
            yield f"containerEdits.hooks.hookName={hook['hookName']}"


def _mount(given: Doc) -> Mount:
    options = given.get("options") or ()
    passed_on = [_PROPAGATION[one] for one in options if one in _PROPAGATION]
    return Mount(
        given["hostPath"],
        given["containerPath"],
        read_only="ro" in options,
        propagation=passed_on[-1] if passed_on else Propagation.PRIVATE,
        flags=tuple(one for one in _FLAGS if one in options),
    )


def _device(given: Doc) -> Device:
    path = given["path"]
    return Device(given.get("hostPath") or path, path, given.get("permissions") or "rwm")


def _hook(given: Doc) -> Hook:
    return Hook(
        given["hookName"],
        given["path"],
        tuple(given.get("args") or ()),
        tuple(given.get("env") or ()),
        int(given.get("timeout") or 0),
    )
