"""A webhook that judges: where it is, as a kubeconfig file says, and a question to it over HTTPS.

Sources: kubernetes.io/docs/reference/access-authn-authz/webhook and .../admission-controllers
(#imagepolicywebhook). A webhook is never followed to where
it redirects, and never believed without a certificate that is good for its name.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson
import yaml

from longshore.core.objects.kinds import Doc
from longshore.core.registry.questions import AskError
from longshore.doors.kit.fetch import Answer, FetchError, Pool

_ANSWER_MAX_BYTES = 1024 * 1024
# Answers after which another try is worth it (apiserver/pkg/util/webhook DefaultShouldRetry).
_PASSING = frozenset((429, 500, 504))
_CLUSTER = frozenset({"server", "certificate-authority", "certificate-authority-data"})
_USER = frozenset({
    "client-certificate", "client-certificate-data", "client-key", "client-key-data",
    "token", "tokenFile",
})  # fmt: skip


class Review(NamedTuple):
    """What a webhook is sent, and answers with."""

    api_version: str
    kind: str


ACCESS_REVIEW = Review("authorization.k8s.io/v1", "SubjectAccessReview")
IMAGE_REVIEW = Review("imagepolicy.k8s.io/v1alpha1", "ImageReview")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a webhook is, whose certificate it must show, and how the server proves who it is."""

    url: str
    tls: ssl.SSLContext
    token: str = ""


class Webhook:
    """Asks one webhook; call it in the loop in which it was made, and close() it there."""

    def __init__(self, place: Place, timeout_s: float, review: Review = ACCESS_REVIEW) -> None:
        parts = urlsplit(place.url)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._pool = Pool([f"{parts.scheme}://{parts.netloc}"], place.tls)
        self._timeout_s = timeout_s
        self._review = review
        self._headers = {"accept": "application/json", "content-type": "application/json"}
        if place.token:
            self._headers["authorization"] = f"Bearer {place.token}"

    async def __call__(self, spec: Doc) -> Doc:
        """The status of a review of that spec. Raises AskError."""
        version, kind = self._review
        review = {"kind": kind, "apiVersion": version, "metadata": {}, "spec": spec}
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._posted(orjson.dumps(review))
        except TimeoutError:
            raise AskError(f"no answer within {self._timeout_s:g} s") from None
        except FetchError as error:
            raise AskError(str(error), passing=error.sent) from None
        return _status(answer, self._review)

    def close(self) -> None:
        self._pool.close()

    async def _posted(self, body: bytes) -> Answer:
        """A connection that was kept may have ended meanwhile, so one failure is none."""
        try:
            return await self._pool.fetch("POST", self._target, self._headers, body)
        except FetchError:
            return await self._pool.fetch("POST", self._target, self._headers, body)


def _status(answer: Answer, review: Review) -> Doc:
    if not 200 <= answer.status < 300:
        raise AskError(f"it answered {answer.status}", passing=answer.status in _PASSING)
    if len(answer.body) > _ANSWER_MAX_BYTES:
        raise AskError(f"it answered more than {_ANSWER_MAX_BYTES} bytes")
    try:
        doc = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise AskError("it did not answer in JSON") from None
    if not _is(review, doc):
        raise AskError(f"it did not answer with a {review.kind} of {review.api_version}")
    status = doc.get("status")
    if not isinstance(status, dict):
        raise AskError("its answer has no status")
    return status


def _is(review: Review, doc: Any) -> bool:
    known = isinstance(doc, dict) and doc.get("apiVersion") == review.api_version
    return known and doc.get("kind") == review.kind


# --- kubeconfig files ---


def place_of(file: Path) -> Place:
    """What a kubeconfig file says of its current context. Raises ValueError, which quotes nothing of
    the file: there are keys in it."""
    cluster, user = _chosen(_read(file))
    _only(_CLUSTER, cluster, "cluster")
    _only(_USER, user, "user")
    url = str(cluster.get("server", ""))
    if not url.startswith("https://") or not urlsplit(url).hostname:
        raise ValueError("cluster.server: Invalid value: must be a URL with the scheme https")
    trusted = _data(file, cluster, "certificate-authority")
    return Place(url, _tls(file, trusted, user), _token(file, user))


def _read(file: Path) -> Doc:
    try:
        doc = yaml.safe_load(file.read_text())
    except OSError as error:
        raise ValueError(f"error loading file: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError):
        raise ValueError("it is no YAML") from None
    if not isinstance(doc, dict) or doc.get("kind") != "Config":
        raise ValueError("it is no kubeconfig (v1 Config)")
    return doc


def _chosen(config: Doc) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Cluster and user of the current context; of the only ones if there is no context."""
    context = _named(config, "context", config.get("current-context"))
    cluster = _named(config, "cluster", context.get("cluster"))
    if not cluster:
        raise ValueError("it has no current cluster")
    return cluster, _named(config, "user", context.get("user"))


def _named(config: Doc, kind: str, name: Any) -> Mapping[str, Any]:
    """What the entry of that name is; the only entry if there is no name."""
    listed = config.get(f"{kind}s")
    entries = (
        [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    )
    if name or len(entries) > 1:
        entries = [entry for entry in entries if name and entry.get("name") == name]
    inside = entries[0].get(kind) if entries else None
    return inside if isinstance(inside, dict) else {}


def _only(known: frozenset[str], given: Mapping[str, Any], where: str) -> None:
    for key in given:
        if key not in known:
            raise ValueError(f"{where}.{key}: not served here, leave it out")


def _data(file: Path, given: Mapping[str, Any], key: str) -> bytes:
    """What is in the file itself, or in one that it names, seen from where it is."""
    try:
        if f"{key}-data" in given:
            return base64.b64decode(given[f"{key}-data"], validate=True)
        return (file.parent / given[key]).read_bytes() if key in given else b""
    except (binascii.Error, TypeError, ValueError):
        raise ValueError(f"{key}-data: Invalid value: must be base64") from None
    except OSError as error:
        raise ValueError(f"{key}: error loading file: {error.strerror}") from None


def _token(file: Path, user: Mapping[str, Any]) -> str:
    """For a header: one line of plain characters."""
    token = str(user.get("token") or _data(file, user, "tokenFile").decode("latin-1")).strip()
    if not token.isascii() or not token.isprintable():
        raise ValueError("token: Invalid value: must be printable ASCII")
    return token


def _tls(file: Path, trusted: bytes, user: Mapping[str, Any]) -> ssl.SSLContext:
    certificate = _data(file, user, "client-certificate")
    key = _data(file, user, "client-key")
    try:
        context = ssl.create_default_context(cadata=trusted.decode() or None)
        if certificate or key:
            with _in_memory(certificate + b"\n" + key) as path:
                context.load_cert_chain(path)
    except (ssl.SSLError, UnicodeDecodeError):
        raise ValueError("its certificates and key are no PEM that fits together") from None
    return context


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A file that is on no disk: keys are loaded from files only."""
    descriptor = os.memfd_create("pair")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
