"""Kubeconfigs, as tools read them: whom one asks, and as whom."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from longshore.base.clock import SystemClock
from longshore.cluster.client.access import Access, read
from longshore.cluster.config import ClusterError
from longshore.core.pki.authority import Authority


def kubeconfig(cluster: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
            {"name": "two", "context": {"cluster": "c", "user": "nobody"}},
        ],
        "current-context": "one",
    }


def access(directory: Path, content: Any, context: str = "") -> Access:
    file = directory / "config"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return read(file, context)


PLAIN = {"server": "http://127.0.0.1:8001"}


def test_a_token_and_a_namespace(tmp_path: Path) -> None:
    found = access(tmp_path, kubeconfig(PLAIN, {"token": "secret"}))
    assert found == Access("http://127.0.0.1:8001", "shop", None, "secret")


def test_certificates_within_the_file_and_beside_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path, SystemClock())
    pem = authority.pair.certificate.read_bytes()
    within = {"certificate-authority-data": base64.b64encode(pem).decode()}
    beside = {"certificate-authority": str(authority.pair.certificate)}
    user = {
        "client-certificate-data": base64.b64encode(pem).decode(),
        "client-key": str(authority.pair.key),
    }
    for vouched in (within, beside):
        found = access(tmp_path, kubeconfig({"server": "https://c", **vouched}, user))
        assert found.tls is not None
        assert found.tls.verify_mode == ssl.CERT_REQUIRED
        assert len(found.tls.get_ca_certs()) == 1


@pytest.mark.parametrize(
    ("content", "context", "why"),
    [
        ("[]", "", "it is not a kubeconfig"),
        ("a: [", "", "the body is not valid YAML"),
        ({}, "", "it has no current context, and no --context is said"),
        (kubeconfig(PLAIN, {}), "three", 'context "three" does not exist'),
        (kubeconfig(PLAIN, {}), "two", 'user "nobody" does not exist'),
        (kubeconfig(PLAIN, {"exec": {"command": "x"}}), "", "exec is not supported"),
        (
            kubeconfig({**PLAIN, "insecure-skip-tls-verify": True}, {}),
            "",
            "insecure-skip-tls-verify is not supported; a certificate or a token is",
        ),
        (
            kubeconfig({"server": "https://c", "certificate-authority-data": "!"}, {}),
            "",
            "base64",
        ),
        (
            kubeconfig({"server": "https://c", "certificate-authority": "/no/such/file"}, {}),
            "",
            "No such file",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, content: Any, context: str, why: str
) -> None:
    with pytest.raises(ClusterError) as refusal:
        access(tmp_path, content, context)
    assert str(refusal.value).startswith(f"kubeconfig {tmp_path / 'config'}: ")
    assert why in str(refusal.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="No such file or directory"):
        read(tmp_path / "none", "")
