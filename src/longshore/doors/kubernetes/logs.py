"""What the log of a pod is asked with: which container, and how much of it. Pure.

Source: pkg/apis/core/validation ValidatePodLogOptions, pkg/registry/core/pod/strategy.go LogLocation.
"""

from __future__ import annotations

from longshore.base.clock import parse_rfc3339
from longshore.core.objects.errors import BadRequest, Cause, Invalid
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.streams.protocols import LogOptions
from longshore.doors.kit.http import Request
from longshore.doors.kubernetes.translate import flag, number

_OPTIONS = Kind("", "v1", "PodLogOptions", "podlogoptions", "")
_LEAST = {
    "tailLines": (0, "must be greater than or equal to 0"),
    "limitBytes": (1, "must be greater than 0"),
    "sinceSeconds": (1, "must be greater than 0"),
}


def container_of(pod: Doc, asked: str) -> str:
    """The container whose log is meant. Raises BadRequest as upstream words it."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    mains = [c["name"] for c in spec.get("containers") or ()]
    starters = [c["name"] for c in spec.get("initContainers") or ()]
    if asked:
        added = [c["name"] for c in spec.get("ephemeralContainers") or ()]
        if asked not in mains + starters + added:
            raise BadRequest(f"container {asked} is not valid for pod {name}")
        return asked
    if len(mains) == 1 and not starters:
        return str(mains[0])
    init = f" or one of the init containers: [{' '.join(starters)}]" if starters else ""
    raise BadRequest(
        f"a container name must be specified for pod {name}, "
        f"choose one of: [{' '.join(mains)}]{init}"
    )


def log_options(request: Request, name: str, now: float) -> LogOptions:
    """Raises BadRequest for what is no number or time, Invalid naming the pod for what cannot be
    meant."""
    query = request.query
    causes = _problems(request)
    if causes:
        raise Invalid.of(_OPTIONS, name, causes)
    seconds, since = number(query, "sinceSeconds"), _since_time(request.param("sinceTime"))
    if seconds is not None:
        since = now - seconds
    return LogOptions(
        follow=flag(query, "follow"), previous=flag(query, "previous"),
        timestamps=flag(query, "timestamps"), tail_lines=number(query, "tailLines"),
        limit_bytes=number(query, "limitBytes"), since=since,
    )  # fmt: skip


def _problems(request: Request) -> list[Cause]:
    causes = []
    for name, (least, why) in _LEAST.items():
        given = number(request.query, name)
        if given is not None and given < least:
            causes.append(Cause("FieldValueInvalid", f"Invalid value: {given}: {why}", name))
    if request.param("sinceSeconds") and request.param("sinceTime"):
        why = "at most one of `sinceTime` or `sinceSeconds` may be specified"
        causes.append(Cause("FieldValueForbidden", f"Forbidden: {why}", ""))
    if request.param("stream"):
        # Choosing one of the two streams is behind a feature gate that is off.
        causes.append(Cause("FieldValueForbidden", "Forbidden: may not be specified", "stream"))
    return causes


def _since_time(text: str) -> float:
    """Seconds since 1970, 0 if nothing is said."""
    try:
        return parse_rfc3339(text) if text else 0.0
    except ValueError:
        raise BadRequest(f'invalid value for "sinceTime": "{text}"') from None
