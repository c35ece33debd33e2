"""Which logins pull secrets hold for an image, and who may use what was pulled with one."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import orjson
import pytest

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.images.keyring import (
    Credential,
    UnreadableSecret,
    credentials_for,
    matches,
)
from longshore.machinery.kubelet.images.records import (
    Document,
    PullRecords,
    is_guarded,
    may_use,
    with_pull,
)
from longshore.machinery.runtime.protocol import Login


def secret(name: str, auths: dict[str, Any], kind: str = "dockerconfigjson") -> Doc:
    content: Any = {"auths": auths} if kind == "dockerconfigjson" else auths
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}"},
        "type": f"kubernetes.io/{kind}",
        "data": {f".{kind}": base64.b64encode(orjson.dumps(content)).decode()},
    }


def login(user: str, password: str = "p") -> dict[str, str]:
    return {"username": user, "password": password}


def users(repository: str, *secrets: Doc) -> list[str]:
    return [one.login.username for one in credentials_for(repository, secrets)]


@pytest.mark.parametrize(
    ("key", "repository", "good"),
    [
        ("registry.test", "registry.test/app", True),
        ("registry.test", "registry.test:5000/app", False),
        ("registry.test:5000", "registry.test:5000/app", True),
        ("registry.test/team", "registry.test/team/app", True),
        ("registry.test/team", "registry.test/other/app", False),
        ("*.test", "registry.test/app", True),
        ("*.test", "a.registry.test/app", False),
        ("*.*.test", "a.registry.test/app", True),
        ("reg*y.test", "registry.test/app", True),
        ("*.test:5000", "registry.test:5000/app", True),
        ("registry.test/*", "registry.test/app", False),
        ("[::1]:5000", "[::1]:5000/app", True),
    ],
)
def test_a_key_is_for_a_repository_as_upstream_matches(
    key: str, repository: str, good: bool
) -> None:
    assert matches(key, repository) is good


def test_the_longest_key_goes_first_and_all_that_match_are_tried() -> None:
    one = secret("a", {"registry.test": login("host"), "registry.test/team": login("team")})
    two = secret("b", {"https://registry.test/v2/": login("late"), "*.test": login("any")})
    assert users("registry.test/team/app", one, two) == ["team", "host", "late", "any"]
    assert users("registry.test/app", one, two) == ["host", "late", "any"]
    assert users("elsewhere.example/app", one, two) == []


def test_docker_hub_is_known_by_its_old_name() -> None:
    hub = secret("a", {"https://index.docker.io/v1/": login("me")}, "dockercfg")
    assert users("docker.io/library/nginx", hub) == ["me"]
    assert users("quay.io/nginx", hub) == []


def test_auth_goes_before_name_and_password_and_may_hold_colons() -> None:
    auth = base64.b64encode(b"me:a:b").decode()
    (one,) = credentials_for("r.test/x", [secret("a", {"r.test": {"auth": auth, **login("you")}})])
    assert one.login == Login("me", "a:b")
    assert "a:b" not in repr(one), "a password was told"
    token = {"r.test": {"identitytoken": "t"}}
    assert credentials_for("r.test/x", [secret("a", token)])[0].login.identity_token == "t"


@pytest.mark.parametrize("entry", [{"auth": "%"}, {"auth": base64.b64encode(b"me").decode()}, 7])
def test_what_cannot_be_read_is_told_with_the_secrets_name(entry: object) -> None:
    with pytest.raises(UnreadableSecret, match="pull secret shop/a cannot be read"):
        credentials_for("r.test/x", [secret("a", {"r.test": entry})])


def test_other_secrets_hold_no_logins() -> None:
    other = {**secret("a", {"r.test": login("me")}), "type": "Opaque"}
    assert credentials_for("r.test/x", [other]) == ()


# -- whose an image is (KEP-2535) ----------------------------------------------------------

NOTHING: Document = {"images": {}, "pulling": []}


def credential(user: str, name: str = "a") -> Credential:
    return Credential(Login(user, "p"), (f"uid-{name}", "shop", name))


def test_what_was_there_before_is_everybodys() -> None:
    assert not is_guarded(NOTHING, "1", ("r.test/x:1",), "r.test/x:1")
    assert with_pull(NOTHING, "1", "r.test/x", None) == NOTHING


def test_a_name_that_was_there_before_stays_everybodys() -> None:
    """The same image, loaded as docker.io/library/busybox:1 and pulled as r.test/x:1 with a login."""
    names = ("docker.io/library/busybox:1", "r.test/x:1")
    pulled = with_pull(NOTHING, "1", "r.test/x", credential("me"))
    begun: Document = {"images": {}, "pulling": ["r.test/x:1"]}
    for records in (pulled, begun):
        assert not is_guarded(records, "1", names, "busybox:1")
        assert is_guarded(records, "1", names, "r.test/x:1")
        assert is_guarded(records, "1", names, "r.test/x:2")
        assert is_guarded(records, "1", names[1:], "busybox:1")


def test_what_was_pulled_with_a_login_asks_for_that_login_or_that_secret() -> None:
    records = with_pull(NOTHING, "1", "r.test/x", credential("me"))
    assert is_guarded(records, "1", (), "r.test/x:1")
    assert may_use(records, "1", "r.test/x", [credential("me", "copy")])
    assert may_use(records, "1", "r.test/x", [credential("changed", "a")])
    assert not may_use(records, "1", "r.test/x", [credential("you", "b")])
    assert not may_use(records, "1", "r.test/x", [])
    assert not may_use(records, "1", "r.test/y", [credential("me")])


def test_a_pull_without_a_login_opens_it_to_all() -> None:
    records = with_pull(NOTHING, "1", "r.test/x", credential("me"))
    assert may_use(with_pull(records, "1", "r.test/x", None), "1", "r.test/x", [])


def test_records_of_secrets_are_bounded_and_a_changed_secret_takes_its_place() -> None:
    records = with_pull(NOTHING, "1", "r.test/x", credential("me"))
    records = with_pull(records, "1", "r.test/x", credential("new"))
    assert len(records["images"]["1"]["r.test/x"]["secrets"]) == 1
    for number in range(200):
        records = with_pull(records, "1", "r.test/x", credential("u", str(number)))
    assert len(records["images"]["1"]["r.test/x"]["secrets"]) == 100


def test_the_file_is_shared_private_and_knows_of_a_pull_that_was_cut_short(tmp_path: Path) -> None:
    mine, theirs = PullRecords(tmp_path / "pulls.json"), PullRecords(tmp_path / "pulls.json")
    assert theirs.read() == NOTHING
    mine.pulling("r.test/x:1")
    assert is_guarded(theirs.read(), "1", ("r.test/x:1",), "r.test/x:1")
    mine.pulled("r.test/x:1", "1", "r.test/x", credential("me"))
    assert theirs.read()["pulling"] == []
    assert may_use(theirs.read(), "1", "r.test/x", [credential("me")])
    mine.pulled("r.test/y:1", "2", "r.test/y", credential("me"), gone={"1"})
    assert set(theirs.read()["images"]) == {"2"}
    mine.pulling("r.test/z:1")
    mine.failed("r.test/z:1")
    assert theirs.read()["pulling"] == []
    assert (tmp_path / "pulls.json").stat().st_mode & 0o777 == 0o600
