"""What form an answer takes, by the Accept header. Pure.

Kubernetes ranks media types with parameters: application/json;as=Table;v=v1;g=meta.k8s.io.
"""

from __future__ import annotations

from enum import Enum

from longshore.base.remembering import remembered
from longshore.core.objects.errors import NotAcceptable

JSON = "application/json"
YAML = "application/yaml"


class As(Enum):
    """How an object is shown."""

    ITSELF = ""
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"


@remembered(512)
def negotiate(accept: str) -> tuple[str, As]:
    """The media type and the form of the best offer that can be met. Raises NotAcceptable.

    Protobuf is not served: clients that prefer it name JSON behind it.
    """
    for media, parameters in ranked(accept):
        if media in (JSON, "application/*", "*/*"):
            plain = JSON
        elif media == YAML:
            plain = YAML
        else:
            continue
        form = _form(parameters)
        if form is not None:
            return plain, form
    raise NotAcceptable(f"only the following media types are accepted: {JSON}, {YAML}")


def ranked(accept: str) -> list[tuple[str, dict[str, str]]]:
    """The offers of an Accept header, best first; of equals the exact ones come before wildcards,
    else they keep their order."""
    offers = []
    for part in (accept or "*/*").split(","):
        media, *given = (piece.strip() for piece in part.split(";"))
        parameters = {k.strip(): v.strip() for k, _, v in (g.partition("=") for g in given)}
        offers.append((_quality(parameters.pop("q", "1")), media.lower(), parameters))
    offers.sort(key=lambda offer: (-offer[0], offer[1] == "*/*", offer[1].endswith("/*")))
    return [(media, parameters) for quality, media, parameters in offers if quality > 0]


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _form(parameters: dict[str, str]) -> As | None:
    if parameters.get("stream", "") not in ("", "watch"):
        return None
    wanted = parameters.get("as", "")
    if not wanted:
        return As.ITSELF
    if parameters.get("g") != "meta.k8s.io" or parameters.get("v") != "v1":
        return None
    if wanted == "Table":
        return As.TABLE
    if wanted in ("PartialObjectMetadata", "PartialObjectMetadataList"):
        return As.METADATA
    return None
