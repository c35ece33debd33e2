"""The index terms of objects at rest, without decoding them: at start there are all of them at once.

What terms_of() reads is declared here by type, and only that is decoded: a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypedDict

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.watch.indexes import MORE, Term, terms_of
from longshore.core.watch.stored import Stored


class _Owner(TypedDict):
    uid: str


class _Metadata(TypedDict, total=False):
    name: str
    namespace: str
    ownerReferences: list[_Owner] | None


_Annotations = TypedDict(
    "_Annotations", {"prometheus.io/scrape": str, "longshore.io/hollow-metrics": str}, total=False
)


class _PodMetadata(_Metadata, total=False):
    annotations: _Annotations | None


class _Claim(TypedDict, total=False):
    claimName: str


class _Volume(TypedDict, total=False):
    name: str
    persistentVolumeClaim: _Claim
    ephemeral: Any


class _DeviceClaim(TypedDict, total=False):
    name: str
    resourceClaimName: str | None
    resourceClaimTemplateName: str | None


class _PodSpec(TypedDict, total=False):
    nodeName: str | None
    volumes: list[_Volume] | None
    resourceClaims: list[_DeviceClaim] | None


class _PodStatus(TypedDict, total=False):
    resourceClaimStatuses: list[_DeviceClaim] | None


class _Pod(TypedDict, total=False):
    metadata: _PodMetadata
    spec: _PodSpec
    status: _PodStatus


class _About(TypedDict, total=False):
    uid: str | None


class _Event(TypedDict, total=False):
    metadata: _Metadata
    involvedObject: _About | None


class _Plain(TypedDict, total=False):
    metadata: _Metadata


_TYPES: dict[Kind, type] = {kinds.POD: _Pod, kinds.EVENT: _Event}
_OWNERS = b'"ownerReferences":['


class Glimpse:
    """A look at the objects of one kind. Other kinds of which more than owners is indexed are few,
    and decoded."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._plain = kind not in MORE
        self._type = _TYPES.get(kind, _Plain if self._plain else None)

    def terms(self, stored: Stored) -> tuple[Term, ...]:
        if self._type is None:
            return terms_of(self._kind, stored.glance())
        if self._plain and _OWNERS not in stored.rest:
            return ()
        return terms_of(self._kind, _decoder(self._type)(b'{"metadata":{' + stored.rest))


@cache
def _decoder(type_: type) -> Callable[[bytes], Doc]:
    import msgspec  # 16 ms, and only wanted where there is something to read

    return msgspec.json.Decoder(type_).decode
