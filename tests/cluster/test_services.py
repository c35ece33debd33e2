"""Services that systemd keeps: what is written, that systemd understands it, and that nothing else goes away."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import orjson
import pytest
import yaml
from click.testing import CliRunner

from longshore.cli.main import main
from longshore.cluster.services.units import command_line

UNITS = Path("etc/systemd/system")


def longshore(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, words)
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def invited(tmp_path: Path) -> Path:
    """A bootstrap kubeconfig with a token in it."""
    cluster = {"server": "https://10.0.0.10:6443", "certificate-authority-data": "AAAA"}
    doc = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "abcdef.0123456789abcdef"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file = tmp_path / "join.yaml"
    file.write_text(yaml.safe_dump(doc))
    return file


def agent(invited: Path, prefix: Path, *more: str) -> list[str]:
    options = ["--join", str(invited), "--node", "edge", "--dir", "/var/lib/edge"]
    return ["install-service", "agent", "--prefix", str(prefix), *options, *more]


def files(prefix: Path) -> list[str]:
    return sorted(str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file())


def test_an_agent_is_kept_and_its_secret_is_in_a_file_of_its_own(
    tmp_path: Path, invited: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy:3128")
    prefix = tmp_path / "machine"
    said = longshore(*agent(invited, prefix))
    unit = (prefix / UNITS / "longshore-agent.service").read_text()
    assert unit in said
    for line in ("KillMode=process", "Delegate=yes", "Restart=always", "LimitNOFILE=1048576"):
        assert line in unit.splitlines()
    assert "agent --join /etc/longshore/join.yaml --node edge --dir /var/lib/edge\n" in unit
    ending = (prefix / UNITS / "longshore-agent-shutdown.service").read_text()
    assert "longshore shutdown --dir /var/lib/edge\n" in ending
    # Units end in the reverse order: pods while whatever runs them is still there.
    assert "containerd.service crio.service longshore-agent.service\n" in ending
    assert "TimeoutStopSec=60\n" in ending
    kept = prefix / "etc/longshore/join.yaml"
    assert kept.read_bytes() == invited.read_bytes()
    for secret in (kept, prefix / "etc/longshore/agent.env"):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert "abcdef" not in said
    assert "me:secret" not in said


def test_a_server_has_nothing_of_the_machine_but_its_files(tmp_path: Path) -> None:
    prefix = tmp_path / "machine"
    options = ["--address", "10.0.0.10", "--root", "/srv/longshore"]
    longshore("install-service", "server", "--prefix", str(prefix), *options)
    unit = (prefix / UNITS / "longshore-server.service").read_text().splitlines()
    assert "ProtectSystem=strict" in unit
    assert "ExecStartPre=+/bin/mkdir -p -m 0700 /srv/longshore" in unit
    assert "ReadWritePaths=-/srv/longshore" in unit
    assert "NoNewPrivileges=yes" in unit


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="Debian's systemd has it")
def test_systemd_understands_the_units(tmp_path: Path, invited: Path) -> None:
    prefix = tmp_path / "machine"
    longshore(*agent(invited, prefix))
    longshore("install-service", "server", "--prefix", str(prefix), "--address", "10.0.0.10")
    units = [str(path) for path in (prefix / UNITS).iterdir()]
    assert len(units) == 3
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True
    )
    complaints = [line for line in done.stderr.splitlines() if "longshore-" in line]
    assert complaints == []


def test_what_was_installed_goes_and_nothing_else(tmp_path: Path, invited: Path) -> None:
    prefix = tmp_path / "machine"
    other = prefix / UNITS / "other.service"
    other.parent.mkdir(parents=True)
    other.write_text("mine\n")
    longshore(*agent(invited, prefix))
    longshore(*agent(invited, prefix))  # again: the same
    (prefix / "etc/longshore/join.yaml").write_text("changed\n")
    listed = longshore("uninstall", "--list", "--prefix", str(prefix)).splitlines()
    assert f"{prefix}/etc/longshore/join.yaml (changed since)" in listed
    assert len(listed) == 3
    assert longshore("uninstall", "--prefix", str(prefix)).splitlines() == listed
    assert files(prefix) == [str(other.relative_to(prefix))]
    assert longshore("uninstall", "--prefix", str(prefix)) == "nothing is installed\n"


def test_a_unit_of_somebody_else_stays(tmp_path: Path, invited: Path) -> None:
    prefix = tmp_path / "machine"
    theirs = prefix / UNITS / "longshore-agent.service"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs\n")
    assert "was not installed by longshore" in longshore(*agent(invited, prefix), code=2)
    assert theirs.read_text() == "theirs\n"


def test_a_dry_run_writes_nothing(tmp_path: Path, invited: Path) -> None:
    prefix = tmp_path / "machine"
    told = orjson.loads(longshore(*agent(invited, prefix, "--dry-run", "--json")))
    assert f"/{UNITS}/longshore-agent.service" in told["units"]
    assert told["files"][0] == "/etc/longshore/join.yaml"
    assert not prefix.exists()


def test_what_the_command_would_refuse_is_refused(tmp_path: Path, invited: Path) -> None:
    longshore(*agent(invited, tmp_path / "m", "--rumtime", "oci"), code=2)
    said = longshore("install-service", "server", "--root", "here", code=2)
    assert "here: a unit needs the whole path" in said


def test_words_arrive_as_they_were_meant() -> None:
    assert command_line(["a", "b c", "100%", "$HOME", 'say "x"']) == (
        'a "b c" "100%%" "$$HOME" "say \\"x\\""'
    )
