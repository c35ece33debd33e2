"""What a client applies: a configuration, checked as far as it can be without the object.

Source: apiserver/pkg/endpoints/handlers/patch.go (applyPatcher), managedfields/internal/
{versioncheck,structuredmerge}.go.
"""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.conversion import to_hub
from longshore.core.objects.errors import BadRequest
from longshore.core.objects.kinds import Doc, Ref
from longshore.core.objects.validation import Checked, check, decoding_error
from longshore.core.registry.ownership import untyped
from longshore.core.registry.sent import check_replicas, metadata_of

_PRECONDITIONS = ("uid", "resourceVersion")
_UNKNOWN = 'unknown field "'


def configuration(ref: Ref, sent: Doc) -> Doc:
    """The configuration in the form of the stored kind; of a scale, as a part of its object.
    Raises BadRequest: unknown fields are refused at every level of validation."""
    if ref.subresource == "scale":
        return _of_scale(_whole(Ref(kinds.SCALE, ref.namespace, ref.name), sent))
    return _whole(ref, sent)


def _whole(ref: Ref, sent: Doc) -> Doc:
    _expect_type(ref, sent)
    metadata = metadata_of(ref.kind, sent, ref.namespace)
    if metadata.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")
    if metadata.setdefault("name", ref.name) != ref.name:
        raise BadRequest(
            f"the name of the object ({metadata['name']}) does not match "
            f"the name on the URL ({ref.name})"
        )
    return _typed(ref, sent)


def _typed(ref: Ref, sent: Doc) -> Doc:
    checked = check(ref.kind, sent)
    if checked.causes:
        raise decoding_error(ref.kind, checked)
    if checked.unknown:
        raise untyped(ref, _undeclared(checked))
    return checked.doc if ref.kind.hub is None else to_hub(ref.kind, checked.doc)


def _undeclared(checked: Checked) -> str:
    where = [text.removeprefix(_UNKNOWN).removesuffix('"') for text in checked.unknown]
    said = [f".{path}: field not declared in schema" for path in where]
    return said[0] if len(said) == 1 else "errors:\n" + "\n".join(f"  {one}" for one in said)


def _expect_type(ref: Ref, sent: Doc) -> None:
    version, kind = sent.get("apiVersion") or "", sent.get("kind") or ""
    if (version, kind) != (ref.kind.api_version, ref.kind.name):
        group, _, short = str(version).rpartition("/")
        raise BadRequest(f"invalid object type: {group}/{short}, Kind={kind}")


def _of_scale(scale: Doc) -> Doc:
    """What a Scale says of the object that is scaled."""
    check_replicas(scale)
    metadata, spec = scale["metadata"], scale.get("spec") or {}
    return {
        "metadata": {key: metadata[key] for key in _PRECONDITIONS if key in metadata},
        "spec": {key: value for key, value in spec.items() if key == "replicas"},
    }
