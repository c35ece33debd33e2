"""The way out of a LAN: pasta (Debian's passt), which speaks for it with the machine's own sockets.

No privilege, route or rule of the machine is involved: pasta opens a tap in the LAN's namespace and
re-sends what comes there as the machine's own connections. Nodes and pods leave under the LAN's
address. Nothing is forwarded inwards, and the machine's loopback cannot be reached through it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import signal
from pathlib import Path

from longshore.base.addresses import LAN_RANGE, POD_RANGE
from longshore.base.clock import Clock
from longshore.machinery.network import namespaces
from longshore.machinery.network.errors import UplinkFailure
from longshore.machinery.network.netlink import Netlink
from longshore.machinery.network.services.nft import Nft

# Addresses of the tap from TEST-NET-1 (RFC 5737): no real network has them, so no host's own
# network can be hidden behind them.
_TAP_IP, _TAP_GATEWAY, _TAP_PREFIX = "192.0.2.2", "192.0.2.1", "24"
UPLINK_DNS = "192.0.2.53"
"""Questions sent here are asked of the machine's own resolver: an upstream for the name servers."""
_TAP = "uplink0"
_START_S = 5.0
_LOOK_S = 0.02
_RETRY_S = 3.0
_DEATH_TIMEOUT_MS = 2_000
_log = logging.getLogger("longshore.network.uplink")

_MASQUERADE = f"""add table ip longshore-uplink
delete table ip longshore-uplink
table ip longshore-uplink {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "{_TAP}" ip saddr {{ {LAN_RANGE}, {POD_RANGE} }} masquerade
  }}
}}
"""


def command(lan_ns: Path, pid_file: Path) -> list[str]:
    """pasta's command line. The four "none" keep it from forwarding any port in or out."""
    return [
        "pasta", "--quiet", "--foreground", "--config-net", "--ipv4-only", "--no-map-gw",
        "--runas", "0", "--pid", str(pid_file), "--ns-ifname", _TAP,
        "--address", _TAP_IP, "--netmask", _TAP_PREFIX, "--gateway", _TAP_GATEWAY,
        "--dns-forward", UPLINK_DNS,
        "-t", "none", "-u", "none", "-T", "none", "-U", "none",
        "--netns", str(lan_ns),
    ]  # fmt: skip


class Uplink:
    """One LAN's pasta: run() keeps it going, or start() and stop() do so by hand. If its owner is
    killed it stays, until the next start() or end_leftover()."""

    def __init__(self, lan_ns: Path, pid_file: Path, clock: Clock) -> None:
        self._lan_ns = lan_ns
        self._pid_file = pid_file
        self._clock = clock
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Keep the way out open until cancelled: a pasta that fails or ends is started again. A LAN
        works without one, so that is said in the log and nothing more."""
        try:
            while True:
                try:
                    await self.start()
                    await self._until_ended()
                except UplinkFailure as error:
                    _log.warning("pods do not reach the outside: %s", error)
                await self._clock.sleep(_RETRY_S)
        finally:
            await self.stop()

    async def _until_ended(self) -> None:
        """Raises UplinkFailure once pasta has ended. What it says meanwhile is read, so that it
        never waits for a reader, and its last words are kept."""
        process, words = self._process, b""
        assert process is not None and process.stderr is not None
        while more := await process.stderr.read(4096):
            words = more
        code = await process.wait()
        raise UplinkFailure(f"pasta ended with {code}: {_last_line(words)}")

    async def start(self) -> None:
        """Returns once the LAN has its way out. Raises UplinkFailure with pasta's own words."""
        await asyncio.to_thread(end_leftover, self._pid_file)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command(self._lan_ns, self._pid_file),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except FileNotFoundError as error:
            raise UplinkFailure("pasta is missing: install passt, or use no uplink") from error
        try:
            await self._until_there(self._process)
            await asyncio.to_thread(self._masquerade)
        except BaseException:
            await self.stop()
            raise

    async def _until_there(self, process: asyncio.subprocess.Process) -> None:
        deadline = self._clock.monotonic() + _START_S
        while process.returncode is None and self._clock.monotonic() < deadline:
            if self._tap_is_there():
                return
            await self._clock.sleep(_LOOK_S)
        if process.returncode is None:
            process.kill()
        _, complaint = await process.communicate()
        raise UplinkFailure(f"pasta did not start: {_last_line(complaint)}")

    async def stop(self) -> None:
        """End it. Idempotent."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.terminate()
        if process is not None:
            await process.communicate()
        self._pid_file.unlink(missing_ok=True)

    def _tap_is_there(self) -> bool:
        with namespaces.entered(self._lan_ns), Netlink() as kernel:
            configured = any(route.destination == "0.0.0.0/0" for route in kernel.routes())
            return configured and any(link.name == _TAP for link in kernel.links())

    def _masquerade(self) -> None:
        with namespaces.entered(self._lan_ns):
            rules = Nft()
            try:
                rules.run(_MASQUERADE)
            finally:
                rules.close()


def leftovers(pid_file: Path) -> list[int]:
    """The processes of the uplink of this file. They are known by their command line, not by what
    the file says: it may be old, or not written yet."""
    marker, found = os.fsencode(pid_file), []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            program, *words = path.read_bytes().split(b"\0")
            if os.path.basename(program).startswith(b"pasta") and marker in words:
                found.append(int(path.parent.name))
    return found


def end_leftover(pid_file: Path) -> None:
    """End the pasta of a life that was killed, if there is one, and wait until it is gone. Blocks."""
    for pid in leftovers(pid_file):
        with contextlib.suppress(ProcessLookupError):
            _kill(pid)
    pid_file.unlink(missing_ok=True)


def _kill(pid: int) -> None:
    fd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        ended = select.poll()
        ended.register(fd, select.POLLIN)
        ended.poll(_DEATH_TIMEOUT_MS)
    finally:
        os.close(fd)


def _last_line(said: bytes) -> str:
    """The reason: before it there may be a complaint that there is no syslog."""
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it gave no reason"
