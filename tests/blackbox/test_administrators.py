"""Who administers a cluster, and who is above all roles."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
import yaml

from .conftest import started
from .driver import Cluster

pytestmark = pytest.mark.slow

GROUP = "longshore:cluster-admins"
MASTERS = "system:masters"


def above_all(cluster: Cluster) -> tuple[str, ...]:
    return ("--kubeconfig", str(cluster.root / cluster.name / "super-admin.kubeconfig"))


def test_a_binding_makes_the_administrator_and_can_be_taken_away(short_root: Path) -> None:
    cluster = started("ruled", short_root, "--hollow")
    try:
        assert GROUP in cluster.kubectl("auth", "whoami")
        assert MASTERS not in cluster.kubectl("auth", "whoami")
        assert cluster.kubectl("auth", "can-i", "*", "*", "-A").strip() == "yes"
        assert MASTERS in cluster.kubectl("auth", "whoami", *above_all(cluster))
        cluster.kubectl("delete", "clusterrolebinding", GROUP)
        said = cluster.kubectl("get", "secrets", "-A", code=1)
        assert 'User "longshore:admin" cannot list resource "secrets"' in said
        cluster.kubectl("get", "secrets", "-A", *above_all(cluster))
        cluster.longshore("stop")
        cluster.longshore("start")
        cluster.kubectl("get", "secrets", "-A")
    finally:
        cluster.longshore("down")


def test_what_is_above_all_roles_is_in_one_private_file(hollow: Cluster) -> None:
    home = hollow.root / hollow.name
    for name, user in (("kubeconfig", "admin"), ("super-admin.kubeconfig", "super-admin")):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
        key = (home / "pki" / f"{user}.key").read_bytes()
        assert stat.S_IMODE((home / "pki" / f"{user}.key").stat().st_mode) == 0o600
        assert _key(home / name) == key
    assert _key(home / "kubeconfig") != _key(home / "super-admin.kubeconfig")


def _key(file: Path) -> bytes:
    (user,) = yaml.safe_load(file.read_text())["users"]
    return base64.b64decode(user["user"]["client-key-data"])
