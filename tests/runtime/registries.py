"""Debian's docker-registry on loopback, with users, for tests that pull for real."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from longshore.machinery.runtime.images.logins import authentication, held_in_memory
from longshore.machinery.runtime.protocol import Login

USER = Login("me", "sesame: open")
_CONFIG = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {{htpasswd: {{realm: test, path: {users}}}}}
"""


@asynccontextmanager
async def private_registry(root: Path, port: int, inside: Sequence[str] = ()) -> AsyncIterator[str]:
    """HOST:PORT of a registry that only USER may ask. inside is put before its command, to run it in
    a namespace, and the port is free there."""
    users, config = root / "users", root / "registry.yml"
    hashed = ["htpasswd", "-nbB", "-C", "4", USER.username, USER.password]
    users.write_bytes(subprocess.run(hashed, check=True, capture_output=True).stdout)
    config.write_text(_CONFIG.format(root=root / "registry", port=port, users=users))
    process = await asyncio.create_subprocess_exec(
        *inside, "docker-registry", "serve", str(config),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def push(archive: Path, reference: str, inside: Sequence[str] = ()) -> str:
    """Push a docker-archive as USER, trying while the registry starts; the digest."""
    with held_in_memory(authentication(reference, USER)) as fd:
        command = [
            *inside, "skopeo", "--insecure-policy", "copy", "-q", "--retry-times", "20", "--authfile",
            f"/dev/fd/{fd}", "--dest-tls-verify=false", "--digestfile", f"{archive}.digest",
            f"docker-archive:{archive}", f"docker://{reference}",
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command, pass_fds=(fd,), stderr=asyncio.subprocess.PIPE
        )
        _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    return Path(f"{archive}.digest").read_text()


def pull_secret(host: str, login: Login) -> dict[str, object]:
    """type and data of a Secret of that login, as `kubectl create secret docker-registry` makes it."""
    auth = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
    said = {"auths": {host: {"username": login.username, "password": login.password, "auth": auth}}}
    data = {".dockerconfigjson": base64.b64encode(orjson.dumps(said)).decode()}
    return {"type": "kubernetes.io/dockerconfigjson", "data": data}
