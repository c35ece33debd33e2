"""Fill Secrets with tokens of ServiceAccounts, and delete them with their account: see plan.py."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from longshore.core.objects import kinds
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import Kind
from longshore.core.pki.authority import Authority
from longshore.core.registry.client import Client, Delete, DeleteOptions, Update
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.accounttokens import plan
from longshore.machinery.loop.answers import DONE, Answer, WakeAfter

Key = tuple[str, str]
# The authority's certificate is renewed every few years: no change here tells of it.
_LOOK_S = 7 * 86_400.0


class AccountTokens:
    """The reconciler; its keys are (namespace, name) of Secrets."""

    name = "service-account-tokens"
    watches: tuple[Kind, ...] = (kinds.SECRET, kinds.SERVICE_ACCOUNT)

    def __init__(self, cache: Cache, client: Client, authority: Authority, sign: plan.Sign) -> None:
        self._cache = cache
        self._client = client
        self._authority = authority
        self._sign = sign
        self._secrets_of: dict[Key, set[str]] = {}

    def keys(self, event: Frame) -> Iterable[Key]:
        namespace, name = event.stored.namespace, event.stored.name
        if event.kind is kinds.SERVICE_ACCOUNT:
            mine = self._secrets_of.get((namespace, name), ())
            return [(namespace, one) for one in mine] if event.type == "DELETED" else ()
        account = plan.account_name(event.doc)
        if not account:
            return ()
        self._note((namespace, account), name, gone=event.type == "DELETED")
        return ((namespace, name),)

    def _note(self, account: Key, secret: str, *, gone: bool) -> None:
        secrets = self._secrets_of.setdefault(account, set())
        (secrets.discard if gone else secrets.add)(secret)
        if not secrets:
            del self._secrets_of[account]

    async def reconcile(self, key: Key) -> Answer:
        secret = self._cache.get(kinds.SECRET, *key)
        if secret is None or secret["metadata"].get("deletionTimestamp"):
            return DONE
        account = self._cache.get(kinds.SERVICE_ACCOUNT, key[0], plan.account_name(secret))
        if account is None or not plan.is_of(secret, account):
            options = DeleteOptions(uid=secret["metadata"]["uid"])
            with suppress(NotFound):
                await self._client.write(Delete(kinds.SECRET, *key, options))
            return DONE
        whole = plan.completed(secret, account, self._authority.pem, self._sign)
        if whole is not secret:
            await self._client.write(Update(kinds.SECRET, whole))
        return WakeAfter(_LOOK_S)
