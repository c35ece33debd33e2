"""What a Secret for a token of a ServiceAccount should hold. Pure.

Rules: pkg/controller/serviceaccount/tokens_controller.go. Unlike what upstream did until 1.24 no such
Secret is made unasked, so none has to be cleaned up for want of use either
(legacy_serviceaccount_token_cleaner.go looks at those alone).
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from longshore.core.objects.kinds import Doc
from longshore.core.registry.identity.secret_tokens import ACCOUNT_NAME, ACCOUNT_UID, TYPE

Sign = Callable[[Doc, Doc], str]
"""A token of an account, for a Secret."""


def account_name(secret: Doc) -> str:
    """The account of which a Secret wants a token; empty if it wants none."""
    notes = secret["metadata"].get("annotations") or {}
    return str(notes.get(ACCOUNT_NAME, "")) if secret.get("type") == TYPE else ""


def is_of(secret: Doc, account: Doc | None) -> bool:
    """Whether the account is the one that the Secret means, and not a later one of its name."""
    uid = (secret["metadata"].get("annotations") or {}).get(ACCOUNT_UID)
    return account is not None and uid in (None, "", account["metadata"]["uid"])


def completed(secret: Doc, account: Doc, authority: str, sign: Sign) -> Doc:
    """The Secret with token, namespace and CA certificate (PEM); the same object if it has them."""
    data = dict(secret.get("data") or {})
    data["ca.crt"] = _encoded(authority)
    if not data.get("namespace"):
        data["namespace"] = _encoded(secret["metadata"]["namespace"])
    if not data.get("token"):
        data["token"] = _encoded(sign(account, secret))
    if data == secret.get("data"):
        return secret
    metadata = secret["metadata"]
    notes = {**metadata["annotations"], ACCOUNT_UID: account["metadata"]["uid"]}
    return {**secret, "metadata": {**metadata, "annotations": notes}, "data": data}


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
