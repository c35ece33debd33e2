"""Nothing secret is anywhere but where it belongs: canaries are planted, everything that handles them
is done well and badly, and then every log, message, metric, event and process is searched for them."""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
import ssl
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from .driver import Cluster, longshore_run

pytestmark = pytest.mark.slow

BELONGS = ("pki", "kubeconfig", "super-admin.kubeconfig")
PODS = ("fine", "lacking", "loud", "lost")
SECRETS = "/api/v1/namespaces/default/secrets"
PATCHES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}


@dataclass
class Canaries:
    """What must not be seen, by what it is; and everything that was told to somebody."""

    planted: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)

    def new(self, what: str) -> str:
        """Of letters and digits, and no part of another."""
        return self.planted.setdefault(what, f"canary{secrets.token_hex(12)}")

    def keep(self, what: str, value: str) -> str:
        return self.planted.setdefault(what, value)

    def forms(self) -> Iterator[tuple[str, bytes]]:
        for what, value in self.planted.items():
            yield what, value.encode()
            yield f"{what} in base64", encoded(value).rstrip("=")[:-1].encode()

    def seen_in(self, where: str, data: bytes) -> list[str]:
        return [
            f"{what} in {where}: {data[max(data.index(form) - 200, 0) :][:300]!r}"
            for what, form in self.forms()
            if form in data
        ]


def encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def secret(name: str, **rest: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, **rest}


@dataclass
class Api:
    """Requests byte by byte, with a bearer token."""

    cluster: Cluster
    canaries: Canaries
    token: str

    def ask(
        self, method: str, path: str, body: Any = None, media: str = "application/json",
        token: str | None = None, **headers: str,
    ) -> tuple[int, str]:  # fmt: skip
        host, _, port = self.cluster.server.removeprefix("https://").partition(":")
        config = yaml.safe_load(Path(self.cluster.kubeconfig).read_text())
        authority = config["clusters"][0]["cluster"]["certificate-authority-data"]
        context = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
        line = http.client.HTTPSConnection(host, int(port), context=context, timeout=90)
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else None
        bearer = self.token if token is None else token
        credentials = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        line.request(method, path, data, {**credentials, "Content-Type": media, **headers})
        answer = line.getresponse()
        said = answer.read().decode()
        line.close()
        return answer.status, said

    def refused(self, method: str, path: str, body: Any = None, **more: Any) -> None:
        """It must fail, and what it says is kept to be searched."""
        status, said = self.ask(method, path, body, **more)
        assert status >= 400, (method, path, more, said)
        self.canaries.told[f"{status} of {method} {path} #{len(self.canaries.told)}"] = said


@pytest.fixture
def api(hollow: Cluster) -> Iterator[Api]:
    with given_access(hollow) as api:
        yield api


@contextmanager
def given_access(cluster: Cluster) -> Iterator[Api]:
    """An account that may do everything, and its token: a canary that works. All goes afterwards."""
    cluster.kubectl("create", "serviceaccount", "bird")
    cluster.kubectl(
        "create", "clusterrolebinding", "bird", "--clusterrole=cluster-admin",
        "--serviceaccount=default:bird",
    )  # fmt: skip
    canaries = Canaries()
    token = canaries.keep("account token", cluster.kubectl("create", "token", "bird").strip())
    try:
        yield Api(cluster, canaries, token)
    finally:
        cluster.kubectl("delete", "pod", *PODS, "--now", "--ignore-not-found")
        cluster.kubectl("delete", "secret", "nest", "frozen", "--ignore-not-found")
        tokens = "type=bootstrap.kubernetes.io/token"
        cluster.kubectl("delete", "secret", "-n", "kube-system", "--field-selector", tokens)
        cluster.kubectl("delete", "clusterrolebinding/bird", "serviceaccount/bird")


def test_nothing_secret_is_told(api: Api, tmp_path: Path) -> None:
    plant_keys(api)
    handle_secrets(api)
    break_secrets(api)
    break_patches(api)
    break_tokens(api)
    use_commands(api, tmp_path / "join.yaml")
    run_pods(api.cluster, "nowhere/image")
    assert b"secrets/frozen" in read(home(api.cluster) / "log" / "audit.log")
    found = [*searched(api), *loose_files(api.cluster)]
    assert not found, "\n".join(found)


@pytest.mark.root
def test_nodes_tell_nothing_secret(cluster: Cluster) -> None:
    with given_access(cluster) as api:
        plant_keys(api)
        handle_secrets(api)
        run_pods(cluster, "busybox:1.36", command=["/bin/sh", "-c", "exec sleep 7777"])
        talk_to_pods(api)
        found = list(searched(api))
        assert not found, "\n".join(found)


# --- what is done ---


def plant_keys(api: Api) -> None:
    """The keys of everybody who has a certificate, and those that sign tokens."""
    for path in (home(api.cluster) / "pki").rglob("*"):
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes():
            lines = path.read_text().split("-----BEGIN")[-1].splitlines()
            api.canaries.keep(f"key {path.name}", lines[1])


def handle_secrets(api: Api) -> None:
    """Everything goes well; only a Secret's own answers may say what is in it."""
    plain, data = api.canaries.new("stringData"), api.canaries.new("data")
    cluster, told = api.cluster, api.canaries.told
    doc = secret("nest", stringData={"plain": plain}, data={"data": encoded(data)})
    for verb in ("create", "apply"):
        cluster.kubectl(verb, "-f", "-", stdin=json.dumps(doc))
    cluster.kubectl("patch", "secret", "nest", "-p", json.dumps({"stringData": {"more": plain}}))
    own = cluster.kubectl("get", "secret", "nest", "-o", "yaml")
    assert len(api.canaries.seen_in("its own answer", own.encode())) == 3, own
    told["table"] = cluster.kubectl("get", "secrets", "-A", "-o", "wide")
    told["describe"] = cluster.kubectl("describe", "secret", "nest")


def break_secrets(api: Api) -> None:
    value = api.canaries.new("refused Secret")
    held = encoded(value)
    for wrong in (
        secret("Bad_Name", data={"a": held}),
        secret("bad-key", data={"not a key!": held}, stringData={"also/not": value}),
        secret("large", stringData={"a": value * 40_000}),
        secret("no-base64", data={"a": value + "!?"}),
        secret("no-text", stringData={"a": {"b": value}}),
        secret("no-map", data=[held]),
        secret("no-object", data=value),
        secret("unknown", stringdata={"a": value}, data=value),
        secret("docker", type="kubernetes.io/dockerconfigjson",
               stringData={".dockerconfigjson": value}),
        secret("old-docker", type="kubernetes.io/dockercfg", stringData={".dockercfg": value}),
        secret("tls", type="kubernetes.io/tls", stringData={"tls.key": value}),
        secret("nest", stringData={"a": value}),
    ):  # fmt: skip
        api.refused("POST", f"{SECRETS}?fieldValidation=Strict", wrong)
        document = yaml.safe_dump(wrong).encode()
        api.refused("POST", f"{SECRETS}?fieldValidation=Strict", document, media="application/yaml")
    for body in (f'{{"data": {{"a": "{held}"', f'{{"data": "{value}\x01"}}', f'"{value}"', value):
        api.refused("POST", SECRETS, body.encode())
        api.refused("POST", SECRETS, body.encode(), media="application/vnd.kubernetes.protobuf")
    for body in (f"a: [{value}", f"data: *{value}", f"{value}: &a {value}\n{value}: b: c", value):
        api.refused("POST", SECRETS, body.encode(), media="application/yaml")


def break_patches(api: Api) -> None:
    value = api.canaries.new("refused patch")
    frozen = secret("frozen", stringData={"a": api.canaries.new("frozen")}, immutable=True)
    api.cluster.kubectl("create", "-f", "-", stdin=json.dumps(frozen))
    change = {"data": {"a": encoded(value)}}
    api.refused("PUT", f"{SECRETS}/frozen", secret("frozen", **change))
    for kind in ("merge", "strategic"):
        for wrong in (change, {"data": {"a": value + "!"}}, {"data": [value]}, {"data": value}):
            api.refused("PATCH", f"{SECRETS}/frozen", wrong, media=PATCHES[kind])
    test = {"op": "test", "path": "/data/a", "value": encoded(value)}
    put = {"op": "replace", "path": "/data/a/b", "value": value}
    gone = {"op": "replace", "path": "/data/nowhere/b", "value": value}
    for steps in ([test], [put], [gone], [{**test, "op": "sing"}], {"op": value}):
        api.refused("PATCH", f"{SECRETS}/frozen", steps, media=PATCHES["json"])
    for name, more in (("frozen", {"data": value}), ("frozen", {"stringdata": {"a": value}}),
                       ("nest", {"data": {"plain": encoded(value)}}), ("frozen", change)):  # fmt: skip
        path = f"{SECRETS}/{name}?fieldManager=other"
        api.refused("PATCH", path, secret(name, **more), media=PATCHES["apply"])
    for media in PATCHES.values():
        api.refused("PATCH", f"{SECRETS}/nest?fieldManager=x", f'{{"{value}'.encode(), media=media)


def break_tokens(api: Api) -> None:
    """Bearers that are refused, and a bootstrap token that is real."""
    for bearer in (api.canaries.new("bearer"), f"abcdef.{api.canaries.new('bootstrap')[:16]}",
                   api.token[:-8] + "AAAAAAAA"):  # fmt: skip
        api.refused("GET", "/api/v1/pods", token=bearer)
        status = {"spec": {"token": bearer}}
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", **status}
        path = "/apis/authentication.k8s.io/v1/tokenreviews"
        answer = json.loads(api.ask("POST", path, review)[1])
        api.canaries.told[f"review of {bearer[:6]}"] = json.dumps(answer["status"])
        api.refused("GET", "/api/v1/pods?watch=1", token="", **browser(bearer))
    kept = secrets.token_hex(8)
    api.canaries.keep("kept bootstrap token", kept)
    token = {"token-id": "abcdef", "token-secret": kept, "usage-bootstrap-authentication": "true"}
    doc = secret("bootstrap-token-abcdef", type="bootstrap.kubernetes.io/token", stringData=token)
    assert api.ask("POST", SECRETS.replace("default", "kube-system"), doc)[0] == 201
    api.refused("GET", "/api/v1/secrets", token=f"abcdef.{kept}")
    api.refused("GET", "/api/v1/secrets", token=f"abcdef.{kept[:-1]}x")
    wrong = {"spec": {"expirationSeconds": 1, "audiences": [""]}}
    api.refused("POST", "/api/v1/namespaces/default/serviceaccounts/bird/token", wrong)


def browser(token: str) -> dict[str, str]:
    """How a browser shows a token: it cannot but name it as a protocol that it would speak."""
    shown = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    return {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": encoded("sixteen letters."),
        "Sec-WebSocket-Protocol": f"base64url.bearer.authorization.k8s.io.{shown}, v4.channel",
    }  # fmt: skip


def use_commands(api: Api, file: Path) -> None:
    """What longshore says of a cluster to whoever stands by; a token goes to a file of its own."""
    cluster, told = api.cluster, api.canaries.told
    told["token create"] = cluster.longshore("token create", "--file", str(file))
    made = yaml.safe_load(file.read_text())["users"][0]["user"]["token"]
    api.canaries.keep("join token", made.partition(".")[2])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for verb in ("token list", "certs"):
        told[verb] = cluster.longshore(verb)
    judged = longshore_run("audit-config", "--name", cluster.name, "--root", str(cluster.root))
    assert "cannot" not in judged.stderr, judged
    told["audit-config"] = judged.stdout + judged.stderr
    told["up again"] = cluster.longshore("up", "--hollow", "--no-merge", code=2)
    api.refused("GET", "/api/v1/secrets", token=made)


def pod(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 0, **spec},
    }


def with_secret(name: str, image: str, key: str = "plain", **more: Any) -> dict[str, Any]:
    """A pod with a Secret in its environment and its files, and a token in another file."""
    refer = {"secretKeyRef": {"name": "nest", "key": key}}
    token = {"serviceAccountToken": {"path": "token", "audience": "nest"}}
    mounts = [
        {"name": name, "mountPath": f"/{name}", "readOnly": True} for name in ("files", "tokens")
    ]
    container = {
        "name": "main", "image": image, "env": [{"name": "PASSWORD", "valueFrom": refer}],
        "volumeMounts": mounts, **more,
    }  # fmt: skip
    volumes = [
        {"name": "files", "secret": {"secretName": "nest"}},
        {"name": "tokens", "projected": {"sources": [token]}},
    ]
    return pod(name, containers=[container], volumes=volumes, serviceAccountName="bird")


def run_pods(cluster: Cluster, image: str, **more: Any) -> None:
    """One that runs, and one that cannot, for want of a key."""
    for doc in (
        with_secret("fine", image, **more),
        with_secret("lacking", image, "no-such", **more),
    ):
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(doc))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/fine", "--timeout=120s")


def talk_to_pods(api: Api) -> None:
    """Processes of the pod's own are given its Secret, and may tell it to those who ask them. What
    they are called may be secret as well, and where their files are."""
    loud = with_secret("loud", "busybox:1.36", command=["/$(PASSWORD)"])
    lost = with_secret("lost", "busybox:1.36")
    lost["spec"]["containers"][0]["volumeMounts"][0]["subPathExpr"] = "plain/$(PASSWORD)"
    loud["spec"]["restartPolicy"] = "Never"
    for doc, why in ((loud, "terminated.reason}=StartError"),
                     (lost, "waiting.reason}=CreateContainerConfigError")):  # fmt: skip
        api.cluster.apply(doc)
        until = f"--for=jsonpath={{.status.containerStatuses[0].state.{why}"
        api.cluster.kubectl("wait", f"pod/{doc['metadata']['name']}", until, "--timeout=120s")
    told, plain = api.cluster.kubectl, api.canaries.planted["stringData"]
    assert told("exec", "fine", "--", "sh", "-c", "echo $PASSWORD").strip() == plain
    assert told("exec", "fine", "--", "cat", "/files/plain") == plain
    token = api.canaries.keep("pod token", told("exec", "fine", "--", "cat", "/tokens/token"))
    assert token.count(".") == 2
    told("exec", "fine", "--", "sh", "-c", "no-such-program $PASSWORD", code=127)
    told("logs", "fine")


# --- where it is looked for ---


def home(cluster: Cluster) -> Path:
    return cluster.root / cluster.name


def searched(api: Api) -> Iterator[str]:
    """Everywhere that a canary was seen and must not be."""
    canaries = api.canaries
    for where, said in (*canaries.told.items(), *answers(api.cluster)):
        yield from canaries.seen_in(where, said.encode())
    for path in files(home(api.cluster)):
        seen = canaries.seen_in(str(path), read(path))
        if seen and not is_of_pod(path):
            yield from seen
    for process in Path("/proc").glob("[0-9]*"):
        for path in (process / "cmdline", process / "environ"):
            seen = canaries.seen_in(str(path), read(path))
            if seen and not is_inside(process):
                yield from seen


def is_of_pod(path: Path) -> bool:
    """A volume of a pod, or the description of its container: in memory, and for nobody else."""
    described = path.name == "config.json" and path.parts[-3] in ("containers", "crun")
    if not described and "volumes" not in path.parts:
        return False
    told = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True)
    return told.stdout.strip() == "tmpfs"


def is_inside(process: Path) -> bool:
    """In a namespace of processes that is not this one's: a container's own."""
    try:
        return os.readlink(process / "ns" / "pid") != os.readlink("/proc/self/ns/pid")
    except OSError:
        return True


def answers(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """All objects but Secrets, what kubectl makes of pods, and the metrics."""
    names = cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    others = ",".join(name for name in names if name != "secrets")
    yield "objects", cluster.kubectl("get", others, "-A", "-o", "json", "--show-managed-fields")
    yield "describe pods", cluster.kubectl("describe", "pods")
    yield "metrics", cluster.kubectl("get", "--raw", "/metrics")


def files(folder: Path) -> Iterator[Path]:
    """All but the keys of the cluster and of its administrators: the store too, which is sealed."""
    for path in below(folder):
        if path.relative_to(folder).parts[0] not in BELONGS:
            yield path


def below(folder: Path) -> Iterator[Path]:
    """Every regular file; folders may go meanwhile."""
    for where, _, names in os.walk(folder):
        for path in (Path(where, name) for name in names):
            if path.is_file() and not path.is_symlink():
                yield path


def loose_files(cluster: Cluster) -> Iterator[str]:
    """What others could read, were they ever to get below the cluster's directory."""
    folder = home(cluster)
    if stat.S_IMODE(folder.stat().st_mode) != 0o700:
        yield f"{folder} is not 0700"
    for path in below(folder):
        mode = path.stat().st_mode
        if mode & 0o077:
            yield f"{path} has mode {stat.S_IMODE(mode):o}"


def read(path: Path) -> bytes:
    """What is in a file, if it is still there and can be read at all."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
