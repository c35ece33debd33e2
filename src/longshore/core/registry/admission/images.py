"""ImagePolicyWebhook: somebody outside says whether the images of a pod may run.

Source: plugin/pkg/admission/imagepolicy; imagepolicy.k8s.io/v1alpha1 ImageReview. Retries wait as
there, without the jitter: what is asked for at the same moment is asked for once a request.
"""

from __future__ import annotations

import logging
from functools import partial

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks
from longshore.core.registry.admission.surroundings import ImagePolicy, Surroundings
from longshore.core.registry.questions import AskError, Remembered, Undecided, told

log = logging.getLogger(__name__)

NAME = "ImagePolicyWebhook"
_NOTE = "imagepolicywebhook.image-policy.k8s.io/"
# What a pod carries that nobody judged (pkg/apis/core/annotation_key_constants.go).
_FAILED_OPEN = "alpha.image-policy.k8s.io/failed-open"
_ASKED_ABOUT = ".image-policy.k8s.io/"
_ANSWERS_MAX, _NOTES_MAX = 1024, 64
# apiserver/pkg/util/webhook: DefaultRetryBackoffWithInitialDelay.
_TRIES, _BACKOFF_FACTOR = 5, 1.5


class _Judge:
    """The plug-in with its configuration, and what it was told lately."""

    def __init__(self, policy: ImagePolicy, around: Surroundings) -> None:
        self._policy = policy
        self._clock = around.clock
        self._said = Remembered[Doc](around.clock, _ANSWERS_MAX)

    def pod(self, request: Attributes) -> None:
        self._judge(request, ("containers", "initContainers"))

    def ephemeral(self, request: Attributes) -> None:
        self._judge(request, ("ephemeralContainers",))

    def _judge(self, request: Attributes, parts: tuple[str, ...]) -> None:
        """Raises Undecided if nobody was asked about these images, or too long ago."""
        spec = _review(request, parts)
        status = self._said.get(spec)
        if status is None:
            raise Undecided(partial(self._settle, spec))
        if "error" in status:
            self._unjudged(request, status["error"])
            return
        for key, value in status["notes"].items():
            request.annotations[f"{_NOTE}{key}"] = value
        if not status["allowed"]:
            raise request.forbidden(status["reason"])

    def _unjudged(self, request: Attributes, error: str) -> None:
        if not self._policy.default_allow:
            raise request.forbidden(f"Error contacting webhook: {error}")
        request.annotations[f"{_NOTE}failed-open"] = "true"
        metadata = request.doc["metadata"]
        metadata["annotations"] = {**(metadata.get("annotations") or {}), _FAILED_OPEN: "true"}

    async def _settle(self, spec: Doc) -> None:
        policy = self._policy
        try:
            status = _understood(await self._ask(spec))
            ttl_s = policy.allow_ttl_s if status["allowed"] else policy.deny_ttl_s
        except AskError as error:
            log.warning("the image policy webhook gave no answer: %s", error)
            status, ttl_s = {"error": str(error)}, 0.0
        self._said.put(spec, status, ttl_s)

    async def _ask(self, spec: Doc) -> Doc:
        wait_s = self._policy.backoff_s
        for _ in range(_TRIES - 1):
            try:
                return await self._policy.ask(spec)
            except AskError as error:
                if not error.passing:
                    raise
            await self._clock.sleep(wait_s)
            wait_s *= _BACKOFF_FACTOR
        return await self._policy.ask(spec)


def _review(request: Attributes, parts: tuple[str, ...]) -> Doc:
    """The spec of an ImageReview."""
    inside = request.doc["spec"]
    images = [{"image": one.get("image", "")} for part in parts for one in inside.get(part) or ()]
    spec: Doc = {"containers": images, "namespace": request.namespace}
    annotations = request.doc["metadata"].get("annotations") or {}
    if about := {key: value for key, value in annotations.items() if _ASKED_ABOUT in key}:
        spec["annotations"] = about
    return spec


def _understood(status: Doc) -> Doc:
    """What is kept of a status: whether, why not, and notes for the audit log. Raises AskError."""
    allowed = status.get("allowed", False)
    if not isinstance(allowed, bool):
        raise AskError("its status does not say true or false")
    given = status.get("auditAnnotations")
    notes = list(given.items())[:_NOTES_MAX] if isinstance(given, dict) else []
    why = told(status.get("reason"))
    reason = (
        f"image policy webhook backend denied one or more images: {why}"
        if why
        else "one or more images rejected by webhook backend"
    )
    return {"allowed": allowed, "reason": reason, "notes": {key: told(v) for key, v in notes}}


def hooks(around: Surroundings) -> Hooks:
    policy = around.config.image_policy
    assert policy is not None, "whoever switches the plug-in on configures it"
    judge, both = _Judge(policy, around), ("create", "update")
    return Hooks(
        checks=(
            Hook(judge.pod, (kinds.POD,), both),
            Hook(judge.ephemeral, (kinds.POD,), both, "ephemeralcontainers"),
        )
    )
