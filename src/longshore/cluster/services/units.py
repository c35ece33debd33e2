"""systemd units of a server and of an agent, as text (systemd.unit(5), systemd.exec(5)). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SERVER, AGENT, SHUTDOWN = "longshore-server", "longshore-agent", "longshore-agent-shutdown"
# What may run a node's containers: it begins before the agent, and when the machine goes down it ends after it.
_RUNTIMES = "containerd.service crio.service"
# Beyond the grace of pods, what stopping takes.
_STOP_S = 30


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit file by its name."""

    name: str
    text: str

    @property
    def file(self) -> str:
        return f"{self.name}.service"


def server_unit(command: Sequence[str], environment: str, state: str) -> Unit:
    """A server needs its own files and the network, so it gets nothing else of the machine. state is the
    directory it writes to, environment a file that may be there."""
    return Unit(SERVER, f"""[Unit]
Description=Longshore server
{_kept(command, environment)}# What is to be written to is made before the rest of the machine is shut off; for this command it may be missing.
ExecStartPre=+{command_line(["/bin/mkdir", "-p", "-m", "0700", state])}
LimitNOFILE=1048576
UMask=0077
ReadWritePaths={_word(f"-{state}")}
ProtectSystem=strict
ProtectHome=read-only
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
PrivateTmp=yes
PrivateDevices=yes
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
""")  # fmt: skip


def agent_unit(command: Sequence[str], environment: str) -> Unit:
    """An agent mounts for containers and makes them: a mount namespace of its own would hide what it left in its
    last life, and filters on system calls would be its containers' too. So it has neither."""
    return Unit(AGENT, f"""[Unit]
Description=Longshore agent
After={_RUNTIMES}
{_kept(command, environment)}# Containers go on while the agent is away.
KillMode=process
Delegate=yes
TasksMax=infinity
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
OOMScoreAdjust=-999
UMask=0077
# Nothing here may give the agent a mount namespace of its own or filter system calls: the mounts of its
# containers must be seen by its next life, and filters would be theirs too.

[Install]
WantedBy=multi-user.target
""")  # fmt: skip


def shutdown_unit(command: Sequence[str], grace_s: float) -> Unit:
    """Is stopped before the agent when the machine goes down, and ends the pods then."""
    return Unit(SHUTDOWN, f"""[Unit]
Description=Ends the pods of this node when the machine goes down
After=network-online.target {_RUNTIMES} {AGENT}.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop={command_line(command)}
TimeoutStopSec={round(grace_s) + _STOP_S}

[Install]
WantedBy=multi-user.target
""")  # fmt: skip


def _kept(command: Sequence[str], environment: str) -> str:
    """What both have: begun with the network, and again whenever they end."""
    return f"""Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={command_line(command)}
EnvironmentFile=-{environment}
Restart=always
RestartSec=1
TimeoutStopSec={_STOP_S}
"""


def command_line(words: Sequence[str]) -> str:
    return " ".join(_word(word) for word in words)


def _word(word: str) -> str:
    """A word of a unit file (systemd.service(5), "Command lines"; systemd.unit(5), "Specifiers")."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    quiet = plain == word and word and not set(word) & set(" \t;'")
    return word if quiet else f'"{plain}"'
