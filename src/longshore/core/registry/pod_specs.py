"""Specs of the pods that were made lately: the pods of a workload share one.

Pods of a workload differ in their names, and a pod is mostly its spec. So a complete spec is held
once: decoded (what the cache holds is read-only, and the fewer parts it has the less a collection
of garbage looks through), encoded, and with what was found out of it.
"""

from __future__ import annotations

import orjson

from longshore.core.objects.kinds import Doc
from longshore.core.objects.meta import qos_class
from longshore.core.objects.offers import Amounts
from longshore.core.objects.recent import key_of
from longshore.core.registry.capacity.book import taken_by

# Together some 10 MB, at most 50: a spec has about 2 KB (key_of: at most 8), and ten times that decoded.
_SPECS_MAX = 512


class PodSpec:
    """A spec that pods share, read-only. is_sound: no rule speaks against it."""

    __slots__ = ("_open", "_taken", "encoded", "is_sound", "key", "qos_class", "spec")

    def __init__(self, key: bytes, pod: Doc) -> None:
        self.key = key
        self.spec: Doc = pod["spec"]
        self.encoded = orjson.Fragment(key)
        self._open = memoryview(key)[:-1]  # all but its last bracket
        self.qos_class = qos_class(pod)
        self.is_sound = False
        self._taken: Amounts | None = None

    @property
    def taken(self) -> Amounts:
        """What such a pod takes of its node."""
        if self._taken is None:
            self._taken = taken_by(self.spec)
        return self._taken

    def encoded_on(self, node: str) -> orjson.Fragment:
        """Such a spec of a pod that has that node."""
        return orjson.Fragment(b"".join((self._open, b',"nodeName":', orjson.dumps(node), b"}")))


class PodSpecs:
    """The last few, oldest forgotten first."""

    def __init__(self) -> None:
        self._by_key: dict[bytes, PodSpec] = {}
        # By the identity of the spec, which is nobody else's as long as it is held here.
        self._by_id: dict[int, PodSpec] = {}

    def share(self, pod: Doc) -> None:
        """Give a pod that is complete but for its name the spec of its like, and its class of
        service, in place."""
        key = key_of(pod["spec"])
        shared = self._by_key.get(key)
        if shared is None:
            shared = PodSpec(bytes(memoryview(key)), pod)  # the encoder's buffer is twice as large
            if key:
                self._hold(shared)
        pod["spec"] = shared.spec
        pod["status"]["qosClass"] = shared.qos_class

    def of(self, doc: Doc) -> PodSpec | None:
        """What is held of a document's spec, if it is such a one itself."""
        return self._by_id.get(id(doc.get("spec")))

    def like(self, doc: Doc) -> PodSpec | None:
        """What is held of a spec that is equal to the document's, which was decoded anew."""
        return self.of(doc) or self._by_key.get(key_of(doc["spec"]))

    def _hold(self, shared: PodSpec) -> None:
        if len(self._by_key) >= _SPECS_MAX:
            oldest = self._by_key.pop(next(iter(self._by_key)))
            del self._by_id[id(oldest.spec)]
        self._by_key[shared.key] = self._by_id[id(shared.spec)] = shared
