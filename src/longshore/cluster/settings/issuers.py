"""Outside issuers of tokens: which there are, and where their keys come from.

The file is upstream's AuthenticationConfiguration (apiserver.config.k8s.io/v1). What needs CEL is
refused by name.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import yaml

from longshore.base.clock import Clock
from longshore.cluster.config import ClusterError, ClusterPaths
from longshore.core.objects.kinds import Doc
from longshore.core.registry.identity.outside_tokens import Claim, Issuer, OutsideTokens
from longshore.doors.kit.fetch import FetchError, Pool

log = logging.getLogger("longshore.issuers")

API_VERSIONS = ("apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1")
_WELL_KNOWN = "/.well-known/openid-configuration"
_REFRESH_S, _RETRY_S = 600.0, 10.0
# An unknown key makes the server look for new ones, but not more often than this.
_PAUSE_S = 10.0
_BODY_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """An issuer, and whose certificate vouches for its server (PEM; empty: the machine's own)."""

    issuer: Issuer
    authority: str = ""


def read(file: Path) -> list[Source]:
    """Raises ClusterError, saying what in the file is wrong or not served."""
    try:
        doc = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ClusterError(f"--authentication-config {file}: {error}") from None
    try:
        return list(_sources(doc))
    except ValueError as error:
        raise ClusterError(f"--authentication-config {file}: {error}") from None


def of_cluster(paths: ClusterPaths, clock: Clock) -> list[Keys]:
    """The issuers that a cluster was given. Raises ClusterError if their file is no good any more."""
    if not paths.authentication.exists():
        return []
    return [Keys(source, clock) for source in read(paths.authentication)]


def _sources(doc: Any) -> Iterable[Source]:
    known = isinstance(doc, dict) and doc.get("kind") == "AuthenticationConfiguration"
    if not known or doc.get("apiVersion") not in API_VERSIONS:
        raise ValueError(f"expected an AuthenticationConfiguration of {API_VERSIONS[0]}")
    if "anonymous" in doc:
        raise ValueError(
            "anonymous: who is nobody may ask for health and version only, leave it out"
        )
    for index, one in enumerate(doc.get("jwt") or ()):
        yield _source(one, f"jwt[{index}]")


def _source(one: Doc, where: str) -> Source:
    issuer, mappings = one.get("issuer") or {}, one.get("claimMappings") or {}
    url, audiences = issuer.get("url", ""), issuer.get("audiences") or []
    if not url.startswith("https://"):
        raise ValueError(f"{where}.issuer.url: Invalid value: {url!r}: URL scheme must be https")
    if not audiences or not all(isinstance(audience, str) for audience in audiences):
        raise ValueError(f"{where}.issuer.audiences: Required value: at least one audience")
    if one.get("userValidationRules") or mappings.get("extra"):
        raise ValueError(f"{where}: rules in CEL (userValidationRules, extra) are not served yet")
    groups = mappings.get("groups")
    return Source(
        Issuer(
            url=url,
            audiences=tuple(audiences),
            username=_claim(mappings.get("username") or {}, f"{where}.claimMappings.username"),
            groups=_claim(groups, f"{where}.claimMappings.groups") if groups else None,
            uid=(mappings.get("uid") or {}).get("claim", ""),
            required=_required(
                one.get("claimValidationRules") or (), f"{where}.claimValidationRules"
            ),
        ),
        issuer.get("certificateAuthority", ""),
    )


def _claim(mapping: Doc, where: str) -> Claim:
    if mapping.get("expression"):
        raise ValueError(f"{where}.expression: CEL is not served yet, use claim and prefix")
    if not mapping.get("claim"):
        raise ValueError(f"{where}.claim: Required value")
    if mapping.get("prefix") is None:
        raise ValueError(f'{where}.prefix: Required value when claim is set ("" for none)')
    return Claim(mapping["claim"], mapping["prefix"])


def _required(rules: Iterable[Doc], where: str) -> dict[str, str]:
    required = {}
    for index, rule in enumerate(rules):
        if rule.get("expression"):
            raise ValueError(
                f"{where}[{index}].expression: CEL is not served yet, use claim and requiredValue"
            )
        if not rule.get("claim"):
            raise ValueError(f"{where}[{index}].claim: Required value")
        required[rule["claim"]] = rule.get("requiredValue", "")
    return required


class Keys:
    """Learns the keys of one issuer, and learns them anew now and then. run() until cancelled."""

    def __init__(self, source: Source, clock: Clock) -> None:
        self._clock = clock
        self._wanted = asyncio.Event()
        self._url = source.issuer.url
        self._tls = ssl.create_default_context(cadata=source.authority or None)
        self.tokens = OutsideTokens(source.issuer, clock, self._wanted.set)

    async def run(self) -> None:
        while True:
            known = await self.refresh()
            await self._clock.sleep(_PAUSE_S)
            await self._until_wanted((_REFRESH_S if known else _RETRY_S) - _PAUSE_S)

    async def refresh(self) -> bool:
        """Learn the keys that are shown now. Whether they could be had; why not is in the log."""
        try:
            count = self.tokens.learn(await self._fetch())
        except (FetchError, ValueError) as error:
            log.warning("the keys of %s are not known: %s", self._url, error)
            return False
        log.info("%s shows %d keys", self._url, count)
        return True

    async def _until_wanted(self, seconds: float) -> None:
        """Wait for so long, or until somebody shows a token with an unknown key."""
        self._wanted.clear()
        if seconds <= 0:
            return
        async with asyncio.TaskGroup() as crew:
            tasks = [
                crew.create_task(self._wanted.wait()),
                crew.create_task(self._clock.sleep(seconds)),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()

    async def _fetch(self) -> Doc:
        """Raises FetchError, or ValueError for what is no configuration of this issuer."""
        configuration = await self._get(self._url.rstrip("/") + _WELL_KNOWN)
        if configuration.get("issuer") != self._url:
            raise ValueError(f"its configuration is of the issuer {configuration.get('issuer')!r}")
        where = str(configuration.get("jwks_uri", ""))
        if not where.startswith("https://"):
            raise ValueError(f"its jwks_uri {where!r} is not https")
        return await self._get(where)

    async def _get(self, url: str) -> Doc:
        parts = urlsplit(url)
        pool = Pool([f"{parts.scheme}://{parts.netloc}"], self._tls)
        try:
            answer = await pool.fetch("GET", parts.path or "/", {"accept": "application/json"})
        finally:
            pool.close()
        if answer.status != 200:
            raise ValueError(f"{url} answered {answer.status}")
        if len(answer.body) > _BODY_MAX_BYTES:
            raise ValueError(f"{url} answered more than {_BODY_MAX_BYTES} bytes")
        doc = orjson.loads(answer.body)
        if not isinstance(doc, dict):
            raise ValueError(f"{url} answered no object")
        return doc
