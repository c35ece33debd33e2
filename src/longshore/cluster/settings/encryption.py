"""What is encrypted at rest, and with which keys: upstream's EncryptionConfiguration
(apiserver.config.k8s.io/v1; apiserver/pkg/apis/apiserver/validation/validation_encryption.go).

A cluster that is given none makes one of its own at its first start: Secrets, with a random key. The
file is the cluster's encryption.yaml, mode 0600. Keys are changed there while the server runs, as
upstream's documentation says: add the new key behind the old one, move it to the front, write all
anew (kubectl get secrets -A -o json | kubectl replace -f -), take the old one out. Several servers
have the same file, and each step has reached all of them before the next is taken.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from longshore.base.chance import fresh_bytes
from longshore.base.clock import Clock
from longshore.base.files import write_private
from longshore.cluster.config import ClusterError, ClusterPaths
from longshore.core.objects.kinds import KINDS, Doc, Kind
from longshore.core.store.protocol import StoreError
from longshore.core.store.sealed import SealedStore
from longshore.core.store.sealing import AesGcm, Cipher, Identity, Sealing

log = logging.getLogger("longshore.encryption")

API_VERSION = "apiserver.config.k8s.io/v1"
_LOOK_S = 2.0
_KEY_BYTES = 32
_SIZES = (16, 24, 32)
_REFUSED = {
    "aescbc": "it keeps no watch over what it decrypts and is open to padding oracles",
    "secretbox": "there is no XSalsa20-Poly1305 here",
    "kms": "there are no key management plug-ins here",
}


def read(file: Path) -> Sealing:
    """Raises ClusterError, saying what in the file is wrong or not served."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ClusterError(f"--encryption-config {file}: {error}") from None
    return parse(content, f"--encryption-config {file}")


def parse(content: bytes, what: str) -> Sealing:
    """A configuration in YAML. Raises ClusterError, which begins with what it is."""
    try:
        return Sealing(_rules(yaml.safe_load(content)))
    except (UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise ClusterError(f"{what}: {error}") from None


def of_cluster(paths: ClusterPaths) -> Sealing:
    """The cluster's rules; made if there are none yet. Raises ClusterError."""
    if not paths.encryption.exists():
        write_private(paths.encryption, _own())
    return read(paths.encryption)


async def follow(file: Path, store: SealedStore, clock: Clock) -> None:
    """Turn the store to what the file says whenever it changes. What is wrong is logged, and the
    rules of before stay."""
    seen = _state(file)
    while True:
        await clock.sleep(_LOOK_S)
        now = _state(file)
        if now == seen:
            continue
        seen = now
        try:
            store.turn_to(read(file))
            log.info("%s: read again", file)
        except (ClusterError, StoreError) as error:
            log.error("%s: keeping to what it said before: %s", file, error)


def _state(file: Path) -> tuple[int, int, int]:
    try:
        found = os.stat(file)
    except OSError:
        return (0, 0, 0)
    return found.st_ino, found.st_size, found.st_mtime_ns


def _own() -> bytes:
    """Secrets with a key of the cluster's own. What is there in plain text can still be read."""
    secret = base64.b64encode(fresh_bytes(_KEY_BYTES)).decode()
    key = {"name": f"cluster-{fresh_bytes(4).hex()}", "secret": secret}
    providers: list[Doc] = [{"aesgcm": {"keys": [key]}}, {"identity": {}}]
    doc = {
        "apiVersion": API_VERSION,
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }
    return yaml.safe_dump(doc, sort_keys=False).encode()


def _rules(doc: Any) -> dict[str, Sequence[Cipher]]:
    known = isinstance(doc, dict) and doc.get("kind") == "EncryptionConfiguration"
    if not known or doc.get("apiVersion") != API_VERSION:
        raise ValueError(f"expected an EncryptionConfiguration of {API_VERSION}")
    rules: dict[str, Sequence[Cipher]] = {}
    for where, one in _listed(doc, "resources", ""):
        ciphers = [cipher for at, it in _listed(one, "providers", where) for cipher in _of(it, at)]
        _check_distinct(ciphers, f"{where}.providers")
        for index, name in enumerate(_names(one, where)):
            for kind in _kinds(name, f"{where}.resources[{index}]"):
                rules.setdefault(kind.prefix, ciphers)
    return rules


def _listed(doc: Doc, field: str, where: str) -> Iterator[tuple[str, Doc]]:
    """The objects of a list that must not be empty, and where each is."""
    path = f"{where}.{field}".removeprefix(".")
    found = doc.get(field)
    if not isinstance(found, list) or not found:
        raise ValueError(f"{path}: Required value: at least one is needed")
    for index, one in enumerate(found):
        if not isinstance(one, dict):
            raise ValueError(f"{path}[{index}]: Invalid value: expected an object")
        yield f"{path}[{index}]", one


def _names(one: Doc, where: str) -> list[str]:
    names = one.get("resources")
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise ValueError(f"{where}.resources: Required value: at least one resource is needed")
    return names


def _kinds(name: str, where: str) -> list[Kind]:
    """What is meant by "secrets", "deployments.apps", "*.apps", "*." (the core group) or "*.*"."""
    plural, dot, group = name.partition(".")
    if plural == "*" and not dot:
        raise ValueError(f'{where}: Invalid value: "*": use *. for the core group or *.* for all')
    found = [
        kind
        for kind in KINDS.stored
        if plural in ("*", kind.plural) and (group in (kind.group, "*") if dot else not kind.group)
    ]
    if not found or (group == "*" and plural != "*"):
        raise ValueError(f"{where}: Invalid value: {name!r}: there is no such resource to keep")
    return found


def _of(provider: Doc, where: str) -> list[Cipher]:
    if len(provider) != 1:
        raise ValueError(f"{where}: Invalid value: a provider is one of aesgcm and identity")
    (name,) = provider
    if name in _REFUSED:
        raise ValueError(f"{where}.{name}: Unsupported value: {_REFUSED[name]}; use aesgcm")
    if name == "identity":
        return [Identity()]
    if name != "aesgcm":
        raise ValueError(f"{where}: Unsupported value: {name!r}: use aesgcm or identity")
    keys = _listed(provider[name] or {}, "keys", f"{where}.aesgcm")
    return [_key(one, at) for at, one in keys]


def _key(one: Doc, where: str) -> Cipher:
    name, secret = one.get("name"), one.get("secret")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{where}.name: Required value: a key has a name")
    if ":" in name:
        raise ValueError(f"{where}.name: Invalid value: {name!r}: a colon would end it too early")
    try:
        decoded = base64.b64decode(str(secret or ""), validate=True)
    except binascii.Error:
        raise ValueError(f"{where}.secret: Invalid value: must be base64 encoded") from None
    if len(decoded) not in _SIZES:
        raise ValueError(
            f"{where}.secret: Invalid value: secret is not of the expected length, "
            f"got {len(decoded)}, expected one of {list(_SIZES)}"
        )
    return AesGcm(name, decoded)


def _check_distinct(ciphers: Sequence[Cipher], where: str) -> None:
    headers = [cipher.header for cipher in ciphers]
    if len(set(headers)) != len(headers):
        raise ValueError(f"{where}: Duplicate value: names of keys, and identity, stand there once")
