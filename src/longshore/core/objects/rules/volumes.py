"""Rules for a pod's volumes (pkg/apis/core/validation: ValidateVolumes)."""

from __future__ import annotations

from longshore.base import quantities
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.paths import relative_path
from longshore.core.objects.rules.problems import Path, Problems

_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate",
    "Socket",
)  # fmt: skip
# Per source, what must be there.
REQUIRED = {
    "secret": ("secretName",),
    "configMap": ("name",),
    "hostPath": ("path",),
    "persistentVolumeClaim": ("claimName",),
    "nfs": ("server", "path"),
    "csi": ("driver",),
    "iscsi": ("targetPortal", "iqn"),
    "rbd": ("monitors", "image"),
    "cephfs": ("monitors",),
    "glusterfs": ("endpoints", "path"),
    "cinder": ("volumeID",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "azureFile": ("secretName", "shareName"),
    "azureDisk": ("diskName", "diskURI"),
    "vsphereVolume": ("volumePath",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "quobyte": ("registry", "volume"),
    "scaleIO": ("gateway", "system", "volumeName"),
    "flexVolume": ("driver",),
    "gitRepo": ("repository",),
    "ephemeral": ("volumeClaimTemplate",),
    "image": ("reference",),
}


def volumes(given: list[Doc], path: Path, problems: Problems) -> set[str]:
    """The names of the volumes, which mounts may refer to."""
    found: set[str] = set()
    for index, volume in enumerate(given):
        at = (path, index)
        name = volume.get("name", "")
        problems.label((at, "name"), name)
        if name in found:
            problems.duplicate((at, "name"), name)
        if name:
            found.add(name)
        _source(volume, at, problems)
    return found


def _source(volume: Doc, path: Path, problems: Problems) -> None:
    given = [key for key in volume if key != "name"]
    if not given:
        problems.required(path, "must specify a volume type")
        return
    for extra in given[1:]:
        problems.forbidden((path, extra), "may not specify more than 1 volume type")
    kind = given[0]
    source, at = volume[kind], (path, kind)
    for field in REQUIRED.get(kind, ()):
        if not source.get(field):
            problems.required((at, field))
    if "items" in source or "defaultMode" in source:
        _files(source, at, problems)
    match kind:
        case "hostPath":
            host_path(source, at, problems)
        case "emptyDir":
            _empty_dir(source, at, problems)
        case "projected":
            _projected(source, at, problems)


def _files(source: Doc, path: Path, problems: Problems) -> None:
    _mode(source.get("defaultMode"), (path, "defaultMode"), problems)
    for index, item in enumerate(source.get("items", ())):
        at = ((path, "items"), index)
        if "fieldRef" not in item and "resourceFieldRef" not in item and not item.get("key"):
            problems.required((at, "key"))
        if not item.get("path"):
            problems.required((at, "path"))
        else:
            relative_path(item["path"], (at, "path"), problems)
        _mode(item.get("mode"), (at, "mode"), problems)


def _mode(value: int | None, path: Path, problems: Problems) -> None:
    if value is not None and not 0 <= value <= 0o777:
        problems.invalid(path, value, _MODE)


def host_path(source: Doc, path: Path, problems: Problems) -> None:
    """Of a pod's volume and of a PersistentVolume alike."""
    where = source.get("path", "")
    if ".." in where.split("/"):
        problems.invalid((path, "path"), where, "must not contain '..'")
    if source.get("type", "") not in _HOST_PATH_TYPES:
        problems.unsupported((path, "type"), source["type"], _HOST_PATH_TYPES)


def _empty_dir(source: Doc, path: Path, problems: Problems) -> None:
    size = source.get("sizeLimit")
    if size is not None and quantities.parse(size) < 0:
        problems.forbidden((path, "sizeLimit"), "SizeLimit field must be a valid resource quantity")
    medium = source.get("medium", "")
    if medium not in ("", "Memory") and not medium.startswith("HugePages"):
        problems.unsupported((path, "medium"), medium, ("", "HugePages", "Memory"))


def _projected(source: Doc, path: Path, problems: Problems) -> None:
    for index, one in enumerate(source.get("sources", ())):
        at = ((path, "sources"), index)
        if not one:
            problems.required(at, "must specify a source")
        for extra in list(one)[1:]:
            problems.forbidden((at, extra), "may not specify more than 1 volume type")
        for name in ("secret", "configMap"):
            if name in one and not one[name].get("name"):
                problems.required(((at, name), "name"))
        for name, part in one.items():
            _files(part, (at, name), problems)
        _token(one.get("serviceAccountToken"), (at, "serviceAccountToken"), problems)


def _token(token: Doc | None, path: Path, problems: Problems) -> None:
    if token is None:
        return
    life_s = token.get("expirationSeconds", 3600)
    if life_s < 600:
        problems.invalid((path, "expirationSeconds"), life_s,
                         "may not specify a duration less than 10 minutes")  # fmt: skip
    if not token.get("path"):
        problems.required((path, "path"))
    else:
        relative_path(token["path"], (path, "path"), problems)
