"""emptyDir volumes (upstream: test/e2e/common/storage/empty_dir.go)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from ..driver import Cluster
from .playing import Case, Doc, Played, container, namespace, play, pod, with_volumes

pytestmark = [pytest.mark.root, pytest.mark.slow]

MEDIA: dict[str, Doc] = {"disk": {}, "tmpfs": {"medium": "Memory"}}
IN_MEMORY = "grep -c '^tmpfs /v tmpfs' /proc/mounts"
WHO = {"root": {}, "nonroot": {"runAsUser": 1001}}


def written(who: str, mode: str, medium: str) -> Case:
    """Somebody writes a file of a mode, on disk or in memory, and finds it so."""
    script = f"umask 0; echo text > /v/file; chmod {mode} /v/file; stat -c %a:%u /v/file; cat /v/file; {IN_MEMORY}"
    user = WHO[who].get("runAsUser", 0)
    says = f"{mode.lstrip('0')}:{user}\ntext\n{int(medium == 'tmpfs')}\n"
    spec = with_volumes(f"{script}; true", {"emptyDir": MEDIA[medium]}, securityContext=WHO[who])
    return Case(f"{who}-{mode}-{medium}", spec, says)


def of_mode(medium: str) -> Case:
    """The directory is open to everybody."""
    script = f"stat -c %a:%u:%g /v; {IN_MEMORY}; true"
    spec = with_volumes(script, {"emptyDir": MEDIA[medium]})
    return Case(f"mode-{medium}", spec, f"777:0:0\n{int(medium == 'tmpfs')}\n")


MOUNT: Doc = {"volumeMounts": [{"name": "shared", "mountPath": "/v"}]}
SHARED = Case(
    "shared",
    pod(
        container("until [ -e /v/file ]; do sleep 0.1; done; cat /v/file", **MOUNT),
        container("echo hello > /v/new; mv /v/new /v/file", name="writer", **MOUNT),
        volumes=[{"name": "shared", "emptyDir": {}}],
    ),
    "hello\n",
)
GROUP = Case(
    "group",
    with_volumes(
        "stat -c %a:%g /v; touch /v/file; stat -c %g /v/file",
        {"emptyDir": {}},
        securityContext={"runAsUser": 1001, "fsGroup": 123},
    ),
    "2777:123\n123\n",
)
BOUNDED = Case(
    "size-limit",
    with_volumes(
        "busybox dd if=/dev/zero of=/v/file bs=1024 count=2000 2>/dev/null || stat -c %s /v/file",
        {"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ),
    f"{1 << 20}\n",
)
CASES = [
    *(written(*of) for of in product(WHO, ("0644", "0666", "0777"), MEDIA)),
    *map(of_mode, MEDIA),
    SHARED,
    GROUP,
    BOUNDED,
]


@pytest.fixture(scope="module")
def played(cluster: Cluster) -> Iterator[Played]:
    with namespace(cluster, "empty-dirs") as api:
        yield play(api, CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_empty_dir(played: Played, case: Case) -> None:
    played.check(case)
