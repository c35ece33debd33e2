"""Clients find the cluster of their test, and nobody else's."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from kubernetes import config
from kubernetes.config import kube_config

from longshore.testing.kube.kubeconfig import as_default, of_token, write


def test_the_environment_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.delenv("KUBERNETES_SERVICE_PORT", raising=False)
    for before in ("/mine", None):
        if before is None:
            monkeypatch.delenv("KUBECONFIG")
        else:
            monkeypatch.setenv("KUBECONFIG", before)
        with as_default(tmp_path / "theirs"):
            assert os.environ["KUBECONFIG"] == str(tmp_path / "theirs")
            assert "KUBERNETES_SERVICE_HOST" not in os.environ
        assert os.environ.get("KUBECONFIG") == before
        assert os.environ["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"
        assert "KUBERNETES_SERVICE_PORT" not in os.environ


def test_a_client_that_was_imported_before_follows(tmp_path: Path) -> None:
    before = kube_config.KUBE_CONFIG_DEFAULT_LOCATION
    path = write(of_token("https://127.0.0.1:1", "no authority", "a-token"), tmp_path)
    with as_default(path):
        contexts: Any = config.list_kube_config_contexts  # the library has no types
        (context,), _ = contexts()
        assert context["context"]["namespace"] == "default"
        assert str(path) == kube_config.KUBE_CONFIG_DEFAULT_LOCATION
    assert before == kube_config.KUBE_CONFIG_DEFAULT_LOCATION


def test_one_that_is_imported_meanwhile_forgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/mine")
    monkeypatch.delitem(sys.modules, kube_config.__name__)
    with as_default(tmp_path / "theirs"):
        # As its import would leave it.
        sys.modules[kube_config.__name__] = kube_config
        monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", os.environ["KUBECONFIG"])
    assert kube_config.KUBE_CONFIG_DEFAULT_LOCATION == "/mine"
