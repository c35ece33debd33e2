"""Which logins a pod's pull secrets hold for an image. Pure.

Rules: pkg/credentialprovider/keyring.go and config.go of Kubernetes. An entry's key is a registry's
host, with a port, a path or wildcards in the host; of all that match, the longest goes first.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any

import orjson

from longshore.core.objects.kinds import Doc
from longshore.machinery.runtime.protocol import Login

_FORMS = {
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
    "kubernetes.io/dockercfg": ".dockercfg",
}
_HUB, _HUB_NAMES = "index.docker.io", ("docker.io", "index.docker.io")


class UnreadableSecret(ValueError):
    """A pull secret is not what its type says; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One login, and the Secret it is from: its uid, namespace and name."""

    login: Login
    secret: tuple[str, str, str]

    @property
    def hash(self) -> str:
        """Tells logins apart without telling them."""
        login = self.login
        said = orjson.dumps((login.username, login.password, login.identity_token))
        return sha256(said).hexdigest()


def credentials_for(repository: str, secrets: Iterable[Doc]) -> tuple[Credential, ...]:
    """Those to be tried in turn for a repository (host/path); none means a pull without a login.
    Raises UnreadableSecret."""
    ring: dict[str, list[Credential]] = {}
    for secret in secrets:
        metadata = secret["metadata"]
        whose = (metadata.get("uid", ""), metadata["namespace"], metadata["name"])
        for place, login in _entries(secret):
            ring.setdefault(_key(place), []).append(Credential(login, whose))
    found = [
        one for key in sorted(ring, reverse=True) if matches(key, repository) for one in ring[key]
    ]
    if not found and repository.partition("/")[0] in _HUB_NAMES:
        found = ring.get(_HUB, [])
    return tuple(dict.fromkeys(found))


def matches(key: str, repository: str) -> bool:
    """Whether a key such as "*.corp.test:5000/team" is for a repository: same port, as many parts of
    the host and each alike, its path a prefix."""
    (host, port, path), (other, other_port, other_path) = _parts(key), _parts(repository)
    if port != other_port or len(host) != len(other) or not other_path.startswith(path):
        return False
    return all(fnmatchcase(part, glob) for part, glob in zip(other, host, strict=True))


def _parts(place: str) -> tuple[list[str], str, str]:
    host, slash, path = place.partition("/")
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        name, port = host, ""
    # An IPv6 address is no class of characters.
    return name.removeprefix("[").removesuffix("]").split("."), port, slash + path


def _key(place: str) -> str:
    """An entry's key without its scheme and the version of the registry's API."""
    bare = place.removeprefix("https://").removeprefix("http://")
    host, slash, path = bare.partition("/")
    rest = slash + path
    if rest.startswith(("/v1/", "/v2/")):
        rest = rest[3:]
    return host if rest in ("", "/") else host + rest


def _entries(secret: Doc) -> Iterator[tuple[str, Login]]:
    """Registry and login of every entry. Secrets of other types have none."""
    field = _FORMS.get(secret.get("type", ""))
    kept = (secret.get("data") or {}).get(field)
    if not kept:
        return
    name = f"{secret['metadata']['namespace']}/{secret['metadata']['name']}"
    try:
        said = orjson.loads(base64.b64decode(kept))
        auths = said.get("auths") or {} if field == ".dockerconfigjson" else said
        yield from [(place, _login(entry)) for place, entry in auths.items()]
    except (ValueError, AttributeError, TypeError) as error:
        raise UnreadableSecret(f"pull secret {name} cannot be read: {error}") from error


def _login(entry: dict[str, Any]) -> Login:
    """auth, USER:PASSWORD in base64, goes before the two by themselves."""
    user, password = entry.get("username") or "", entry.get("password") or ""
    if auth := entry.get("auth"):
        try:
            user, colon, password = base64.b64decode(auth).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError("auth is not base64") from error
        if not colon:
            raise ValueError("auth is not of the form USER:PASSWORD")
    return Login(str(user), str(password), str(entry.get("identitytoken") or ""))
