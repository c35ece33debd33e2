"""Write units and what goes with them, remember exactly what was written, and take that away again.

/etc/systemd/system/longshore-*.service    the units
/etc/longshore/NAME.env                    proxies for pulls, if there are any here; 0600
/etc/longshore/join.yaml                   the invitation of an agent; 0600
/etc/longshore/installed.json              what was written, with its checksums
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from longshore.base.files import write_private
from longshore.cluster.config import ClusterError
from longshore.cluster.joining import invitation
from longshore.cluster.services.units import Unit, agent_unit, server_unit, shutdown_unit

_SYSTEMD, _OWN = Path("/etc/systemd/system"), Path("/etc/longshore")
_MANIFEST = _OWN / "installed.json"
_JOIN = _OWN / "join.yaml"
_RUNNING = Path("/run/systemd/system")
# They may hold passwords, so they are in a file for root alone.
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True, slots=True)
class Planned:
    """What will be written: units to start, and files by path with their contents."""

    units: tuple[Unit, ...]
    files: Mapping[Path, bytes]

    def as_dict(self) -> dict[str, object]:
        """For people and machines: the units whole, of other files only where they will be."""
        texts = {str(_SYSTEMD / unit.file): unit.text for unit in self.units}
        return {"units": texts, "files": [str(path) for path in self.files]}


def plan_server(words: Sequence[str], program: Path, state: Path) -> Planned:
    """A server's unit; words are those of `longshore server`, state where its clusters live."""
    unit = server_unit([str(program), "server", *words], _environment_of("server"), str(state))
    return Planned((unit,), dict(_environment("server")))


@dataclass(frozen=True, slots=True)
class AgentWords:
    """The words of `longshore agent` without --join; the file of that; where it lives; what its pods have."""

    words: tuple[str, ...]
    invitation: Path
    directory: Path
    grace_s: float


def plan_agent(given: AgentWords, program: Path) -> Planned:
    """An agent's units. Its invitation is copied, for the agent reads there where servers are whenever it
    starts. Raises ClusterError for what is no invitation."""
    invitation.read(given.invitation)
    command = [str(program), "agent", "--join", str(_JOIN), *given.words]
    ending = [str(program), "shutdown", "--dir", str(given.directory)]
    units = (agent_unit(command, _environment_of("agent")), shutdown_unit(ending, given.grace_s))
    files = {_JOIN: given.invitation.read_bytes(), **dict(_environment("agent"))}
    return Planned(units, files)


def install(planned: Planned, prefix: Path) -> list[str]:
    """Write it all below prefix, and start it if that is the machine's own root and systemd runs there; a line
    for each deed. Raises ClusterError where something of that name is there that was not written here."""
    files = {_SYSTEMD / unit.file: unit.text.encode() for unit in planned.units} | {**planned.files}
    known = _written(prefix)
    for path in files:
        if path not in known and _below(prefix, path).exists():
            raise ClusterError(
                f"{_below(prefix, path)} is there, and was not installed by longshore"
            )
    for path, content in files.items():
        target = _below(prefix, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_private(target, content)
        if path.parent == _SYSTEMD:
            target.chmod(0o644)
        known[path] = _sum(content)
    _remember(prefix, known)
    return [f"wrote {_below(prefix, path)}" for path in files] + _started(planned.units, prefix)


def installed(prefix: Path) -> list[str]:
    """What uninstall would remove, a line each."""
    return [*_lines(prefix, _written(prefix))]


def uninstall(prefix: Path) -> list[str]:
    """Stop what was installed and remove it, and nothing else: what it keeps stays (longshore leave, longshore
    down). A line for each file that is gone."""
    known = _written(prefix)
    lines = [*_lines(prefix, known)]
    units = [path.name for path in known if path.parent == _SYSTEMD]
    if units and _systemd_runs(prefix):
        _systemctl("disable", "--now", *units)
    for path in (*known, _MANIFEST):
        _below(prefix, path).unlink(missing_ok=True)
    own = _below(prefix, _OWN)
    if own.exists() and not any(own.iterdir()):
        own.rmdir()
    if units and _systemd_runs(prefix):
        _systemctl("daemon-reload")
    return lines


def _lines(prefix: Path, known: Mapping[Path, str]) -> Iterator[str]:
    for path, checksum in known.items():
        target = _below(prefix, path)
        if target.exists():
            changed = "" if _sum(target.read_bytes()) == checksum else " (changed since)"
            yield f"{target}{changed}"


def _started(units: Sequence[Unit], prefix: Path) -> list[str]:
    names = [unit.file for unit in units]
    if not _systemd_runs(prefix):
        return [f"to start it: systemctl daemon-reload && systemctl enable --now {' '.join(names)}"]
    _systemctl("daemon-reload")
    _systemctl("enable", "--now", *names)
    return [f"started {name}" for name in names]


def _environment_of(role: str) -> str:
    return str(_OWN / f"{role}.env")


def _environment(role: str) -> Iterator[tuple[Path, bytes]]:
    found = {name: os.environ[name] for name in _PROXIES if os.environ.get(name)}
    if found:
        lines = (f'{name}="{value}"\n' for name, value in found.items())
        yield Path(_environment_of(role)), "".join(lines).encode()


def _below(prefix: Path, path: Path) -> Path:
    return prefix / path.relative_to("/")


def _written(prefix: Path) -> dict[Path, str]:
    """Checksums of what was installed, by path."""
    try:
        kept = orjson.loads(_below(prefix, _MANIFEST).read_bytes())
    except FileNotFoundError:
        return {}
    return {Path(path): str(checksum) for path, checksum in kept["files"].items()}


def _remember(prefix: Path, known: Mapping[Path, str]) -> None:
    content = {"files": {str(path): checksum for path, checksum in known.items()}}
    target = _below(prefix, _MANIFEST)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(target, orjson.dumps(content, option=orjson.OPT_INDENT_2))


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _systemd_runs(prefix: Path) -> bool:
    return prefix == Path("/") and _RUNNING.is_dir() and shutil.which("systemctl") is not None


def _systemctl(*words: str) -> None:
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(f"systemctl {' '.join(words)}: {done.stderr.strip()}")
